//! A process while it is wired and while it runs: what it needs, what it offers, how it stops.
//!
//! A constructor that returned is what has started; only stop steps are recorded.
//! How a process lives from its start to its end stands in `life.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use proto::logs::LogRecord;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::about::About;
use crate::app::steps::StopStep;
use crate::channel::Origin;
use crate::config::Config;
use crate::identity::Identity;
use crate::joined::Mesh;
use crate::layers::{self, Inbound, Layers, Limit, Staged, Standard};
use crate::logging::Logging;
use crate::outbox::Outbox;
use crate::policy::Policy;
use crate::registration::{Registration, Sign};
use crate::server::{self, Door, Ends, Services};
use crate::shipping::{LOGSVC, Left, Shipper, Shipping};
use crate::spans::{Exporter, Pages};
use crate::task;
use crate::tls::{Certificates, Name};
use crate::vegas::Limits;

mod life;
mod signals;
mod steps;

pub use life::run;
pub use signals::interrupted;

/// What requests in flight may take once the process stops.
const DRAIN_BUDGET: Duration = Duration::from_secs(5);

/// A process while it is wired and while it runs.
#[derive(Debug)]
pub struct App {
    config: Config,
    about: About,
    outbox: Arc<Outbox>,
    spans: Option<Exporter>,
    certificates: Option<Certificates>,
    policy: Option<Policy>,
    steps: Vec<StopStep>,
    /// What is being started, for the words of a start that fails or hangs.
    starting: Option<&'static str>,
    /// Whether that is something which takes as long as there is to do.
    preparing: watch::Sender<bool>,
    last_step: Instant,
    /// Cancelled when the process cannot go on.
    broken: CancellationToken,
}

impl App {
    fn new(identity: Identity, config: Config, logging: &Logging) -> Self {
        let about = About {
            identity,
            graph: Arc::default(),
            stats: Arc::default(),
            levels: logging.levels.clone(),
            stopping: CancellationToken::new(),
        };
        let outbox = logging.outbox.clone();
        Self {
            config,
            about,
            outbox,
            spans: None,
            certificates: None,
            policy: None,
            steps: Vec::new(),
            starting: None,
            preparing: watch::Sender::new(false),
            last_step: Instant::now(),
            broken: CancellationToken::new(),
        }
    }

    /// Joins the mesh through the registry at these addresses; log records start to travel.
    ///
    /// Never waits: the registry and the log service may come later, or come back.
    pub fn join(&mut self, registry: &[String]) -> Mesh {
        let addresses = registry.to_vec();
        let certificates = self.certificates.clone();
        let join = move |identity| {
            let origin = Origin { certificates, ..Origin::of(identity) };
            Mesh::new(origin, &addresses).channel(LOGSVC, proto::logs::DESCRIPTORS)
        };
        let shipping = Shipping {
            identity: self.identity().clone(),
            join: Box::new(join),
            outbox: self.outbox.clone(),
            levels: self.about.levels.clone(),
            spool: self.config.spool(),
        };
        match Shipper::start(shipping) {
            Ok(shipper) => {
                self.about.graph.needs(LOGSVC);
                self.on_stop("log shipping", ship_last_words(shipper));
            }
            Err(error) => tracing::error!("could not start shipping log records: {error}"),
        }
        self.join_quietly(registry)
    }

    /// Joins the mesh without shipping log records: for the process that keeps them, with [`App::keep_logs`].
    pub fn join_quietly(&mut self, registry: &[String]) -> Mesh {
        let origin = Origin {
            zone: self.config.zone.clone(),
            stats: self.about.stats.clone(),
            spans: self.spans.clone(),
            certificates: self.certificates.clone(),
            ..Origin::of(self.identity().clone())
        };
        let mesh = Mesh::new(origin, registry).noted_in(self.about.graph.clone());
        self.started("mesh");
        mesh
    }

    /// Hands the records of this process to `keep` instead of shipping them.
    ///
    /// They come in the order of their sequence, from 1, with the places where some were lost;
    /// what could not be kept is handed over again a second later. So that keeping a record
    /// never makes another, what the libraries below gRPC say below WARN is only shown, and
    /// everything else below WARN is bounded to 1,000 a second.
    pub fn keep_logs<K, F>(&mut self, keep: K)
    where
        K: Fn(Vec<LogRecord>) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let outbox = self.outbox.clone();
        outbox.feed_own_log();
        self.spawn("own log", move |stop| keep_until(outbox, keep, stop));
    }

    /// Ends the process, in order and with exit code 1, once `broken` is cancelled: it cannot keep its promises.
    ///
    /// Whoever cancels it says why.
    pub fn end_when(&mut self, broken: CancellationToken) {
        self.broken = broken;
    }

    /// The layers that every request of this process passes; a service may add its own inside of them.
    pub fn inbound(&self) -> Layers<Standard> {
        layers::inbound(&self.shared())
    }

    /// For the edge: tells of each page that was answered, as part of its trace.
    pub fn pages(&self) -> Pages {
        Pages(self.spans.clone())
    }

    /// A limit of concurrent calls with other bounds than the usual ones: `app.inbound().replace(app.limit(…))`.
    pub fn limit(&self, limits: Limits) -> Staged<Limit> {
        layers::limit(&self.shared(), limits)
    }

    fn shared(&self) -> layers::Shared {
        layers::Shared {
            stats: self.about.stats.clone(),
            spans: self.spans.clone(),
            rate: self.config.rate_limit,
            policy: self.policy.clone(),
            believed: self.config.actor_from.as_slice().into(),
        }
    }

    /// Opens a door for gRPC: binds the address. Off loopback it asks for certificates, or for `--insecure`.
    pub async fn listen(&mut self, address: SocketAddr) -> anyhow::Result<Door> {
        let exposed = if self.certificates.is_some() { Ok(()) } else { self.check_exposure(address) };
        let certificates = self.certificates.clone();
        self.start("door", async {
            exposed?;
            Door::open(address, certificates).await
        })
        .await
    }

    /// Refuses plain text at an address that other machines reach, unless `--insecure` says that it is meant.
    pub fn check_exposure(&self, address: SocketAddr) -> anyhow::Result<()> {
        if address.ip().is_loopback() {
            return Ok(());
        }
        anyhow::ensure!(
            self.config.insecure,
            "{address} can be reached by other machines and nothing would be encrypted; \
             give TLS certificate files, or --insecure if something else ends TLS"
        );
        tracing::warn!("{address} is served without encryption: whoever reaches it can read and change everything");
        Ok(())
    }

    /// Serves behind the door until the process stops; then drains, at most 5 s.
    pub async fn serve<L: Inbound>(&mut self, door: Door, services: Services<L>) -> anyhow::Result<()> {
        let (address, about) = (door.address(), self.about.clone());
        let (service, health) = self.start("server", services.finish(&about)).await?;
        let (drain, cut) = (CancellationToken::new(), CancellationToken::new());
        let ends = Ends { drain: drain.clone(), cut: cut.clone(), age: self.config.connection_age };
        let serving = task::detach("server", server::serve(door, service, ends));
        self.on_stop("server", async move {
            health.leave().await;
            about.stopping.cancel();
            drain.cancel();
            tokio::pin!(serving);
            if tokio::time::timeout(DRAIN_BUDGET - Duration::from_secs(1), &mut serving).await.is_err() {
                tracing::warn!("some requests did not end in time and were cut");
                cut.cancel();
                serving.await?;
            }
            Ok(())
        });
        tracing::info!("serving gRPC on {address}");
        Ok(())
    }

    /// Puts up the sign: registers, and keeps the registration for as long as the process runs.
    ///
    /// Fails for an address that stands for all of this machine's: others need one of them.
    pub fn register(&mut self, mesh: &Mesh, sign: Sign) -> anyhow::Result<()> {
        self.starting = Some("registration");
        let sign = sign.advertised(self.config.advertise).in_zone(self.config.zone.clone());
        let address = sign.address();
        anyhow::ensure!(
            !address.ip().is_unspecified(),
            "others cannot call {address}; give --advertise IP:PORT with an address that they reach"
        );
        let registration = Registration::new(mesh.registry(), self.identity().clone(), sign, self.about.stats.clone());
        let token = CancellationToken::new();
        let keeping = task::detach("registration", task::until(token.clone(), registration.clone().keep()));
        self.on_stop("registration", async move {
            // First goodbye, then silence: the other way round would look like a crash.
            let said = registration.end().await;
            token.cancel();
            keeping.await?;
            said
        });
        Ok(())
    }

    /// Cancelled when the server stops: endless streams end on it.
    pub fn stopping(&self) -> CancellationToken {
        self.about.stopping.clone()
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.about.identity
    }

    /// Takes certificates and policy from their files, and follows them from now on.
    fn take_certificates(&mut self) -> anyhow::Result<()> {
        self.certificates = Certificates::start(&self.config.registry.tls)?;
        let (service, own) = (self.identity().service(), self.certificates.as_ref().map(Certificates::name));
        if let Some(own) = own.filter(|own| !matches!(own, Name::Service(name) if name == service)) {
            anyhow::bail!("the certificate is for {own}, and this is {service}");
        }
        if let Some(file) = self.config.policy.clone() {
            anyhow::ensure!(
                self.certificates.is_some(),
                "a policy needs certificates, or nobody could prove who calls; give --tls-cert, --tls-key and --tls-ca"
            );
            self.policy = Some(Policy::start(file)?);
        }
        Ok(())
    }

    /// Exports traces from now on, if there is somewhere to export them to.
    fn export_spans(&mut self) -> anyhow::Result<()> {
        // Empty is as good as not set, by OpenTelemetry's own rules.
        let Some(endpoint) = self.config.otlp_endpoint.clone().filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(());
        };
        self.starting = Some("span exporter");
        let identity = self.identity();
        let exporter = Exporter::start(&endpoint, identity.service(), identity.instance(), identity.version())
            .context("could not export traces")?;
        self.spans = Some(exporter.clone());
        self.on_stop("span exporter", async move {
            exporter.stop().await;
            Ok(())
        });
        Ok(())
    }
}

async fn ship_last_words(shipper: Shipper) -> anyhow::Result<()> {
    match shipper.stop().await {
        Left { records: 0, .. } => {}
        Left { records, spooled: true } => {
            tracing::info!("{} in the spool for the next start", counted(records, "waits", "wait"));
        }
        Left { records, spooled: false } => {
            anyhow::bail!("{} not reach the log service", counted(records, "did", "did"))
        }
    }
    Ok(())
}

fn counted(records: u64, one: &str, many: &str) -> String {
    if records == 1 { format!("the last log record {one}") } else { format!("the last {records} log records {many}") }
}

async fn keep_until<K, F>(outbox: Arc<Outbox>, keep: K, stop: CancellationToken)
where
    K: Fn(Vec<LogRecord>) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    loop {
        tokio::select! {
            () = outbox.filled() => {}
            // What was lost at the end of a burst has no record after it that would declare it.
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => {}
        }
        let chunks = outbox.take_with_gap().chunks;
        if chunks.is_empty() && stop.is_cancelled() {
            return;
        }
        for chunk in chunks {
            while keep(chunk.decode()).await.is_err() {
                if stop.is_cancelled() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            outbox.settle(chunk.bytes().len());
        }
    }
}

#[cfg(test)]
mod tests;
