//! The life of a process: ordered start, reversed and bounded stop.
//!
//! A constructor that returned is what has started; only stop steps are recorded.
//! A failed start stops what had started, newest first, and says so in a sentence.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Settings};
use crate::graph::Graph;
use crate::identity::Identity;
use crate::joined::Mesh;
use crate::load::Load;
use crate::logging;
use crate::outbox::{Outbox, Shipment};
use crate::registration::{Registration, Sign};
use crate::server::{self, Door, Services};
use crate::shipping::{LAST_WORDS, LOGSVC, Shipper};
use crate::task;

mod signals;

use signals::Signals;

/// What one stop step may take, unless it says otherwise.
const STEP_BUDGET: Duration = Duration::from_secs(5);

/// What all stop steps together may take.
const STOP_BUDGET: Duration = Duration::from_secs(15);

/// What requests in flight may take once the process stops.
const DRAIN_BUDGET: Duration = Duration::from_secs(5);

/// The exit code of a process that a second signal ended at once: 128 + SIGINT.
const ENDED_AT_ONCE: u8 = 130;

/// A process while it is wired and while it runs.
#[derive(Debug)]
pub struct App {
    config: Config,
    identity: Identity,
    graph: Arc<Graph>,
    outbox: Arc<Outbox>,
    load: Arc<Load>,
    stopping: CancellationToken,
    steps: Vec<StopStep>,
    last_step: Instant,
}

struct StopStep {
    name: &'static str,
    stop: BoxFuture<'static, anyhow::Result<()>>,
}

impl std::fmt::Debug for StopStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Runs a service until a signal: wires it, waits, stops it in reverse.
///
/// The first SIGINT or SIGTERM stops in order, a second one at once. Exit code 0
/// is a clean stop, 1 a failed start, 130 an end at once.
#[expect(clippy::print_stderr, reason = "a process that cannot start its runtime has no other way to say so")]
pub fn run<C, W>(service: &'static str, config: C, wire: W) -> ExitCode
where
    C: Settings,
    W: AsyncFnOnce(&mut App, C) -> anyhow::Result<()>,
{
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("could not start {service}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(live(service, config, wire));
    // A blocking call that hangs must not keep a stopped process alive.
    runtime.shutdown_background();
    code
}

async fn live<C, W>(service: &'static str, config: C, wire: W) -> ExitCode
where
    C: Settings,
    W: AsyncFnOnce(&mut App, C) -> anyhow::Result<()>,
{
    let mut app = App::new(Identity::new(service, config.version()), config.mesh().clone());
    logging::start(app.config.log.clone(), app.outbox.clone());
    let mut signals = match Signals::listen(app.config.stop_on_eof) {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!("could not start {service}: no signals: {error}");
            return ExitCode::FAILURE;
        }
    };

    let wired = tokio::select! {
        wired = wire(&mut app, config) => Some(wired),
        () = signals.next() => None,
    };
    let code = match wired {
        Some(Ok(())) => {
            tracing::info!("{} is up", app.identity);
            signals.next().await;
            tracing::info!("stopping");
            ExitCode::SUCCESS
        }
        Some(Err(error)) => {
            tracing::error!("could not start {service}: {error:#}{}", app.undoing());
            ExitCode::FAILURE
        }
        None => {
            tracing::info!("told to stop during the start{}", app.undoing());
            ExitCode::SUCCESS
        }
    };
    let was_up = code == ExitCode::SUCCESS;
    tokio::select! {
        () = app.stop(was_up) => code,
        () = signals.next() => ExitCode::from(ENDED_AT_ONCE),
    }
}

impl App {
    fn new(identity: Identity, config: Config) -> Self {
        Self {
            config,
            identity,
            graph: Arc::default(),
            outbox: Arc::default(),
            load: Arc::default(),
            stopping: CancellationToken::new(),
            steps: Vec::new(),
            last_step: Instant::now(),
        }
    }

    /// Joins the mesh through the registry at these addresses; log records start to travel.
    ///
    /// Never waits: the registry and the log service may come later, or come back.
    pub fn join(&mut self, registry: &[String]) -> Mesh {
        match Shipper::start(self.identity.clone(), registry.to_vec(), self.outbox.clone()) {
            Ok(shipper) => {
                self.graph.needs(LOGSVC);
                self.on_stop("log shipping", ship_last_words(shipper));
            }
            Err(error) => tracing::error!("could not start shipping log records: {error}"),
        }
        self.join_quietly(registry)
    }

    /// Joins the mesh without shipping log records: for the process that keeps them, with [`App::keep_logs`].
    pub fn join_quietly(&mut self, registry: &[String]) -> Mesh {
        let mesh = Mesh::new(self.identity.clone(), registry).noted_in(self.graph.clone());
        self.step("mesh");
        mesh
    }

    /// Hands the records of this process to `keep` instead of shipping them.
    ///
    /// A shipment that could not be kept is handed over again a second later.
    pub fn keep_logs<K, F>(&mut self, keep: K)
    where
        K: Fn(Arc<Shipment>) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let outbox = self.outbox.clone();
        self.spawn("own log", move |stop| keep_until(outbox, keep, stop));
    }

    /// Records what to do when the process stops. Steps run in reverse, each bounded in time.
    pub fn on_stop(&mut self, name: &'static str, stop: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.step(name);
        self.steps.push(StopStep { name, stop: Box::pin(stop) });
    }

    /// Starts a task that ends on its token; stopping waits for it.
    pub fn spawn<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = CancellationToken::new();
        let running = task::detach(name, task(token.clone()));
        self.on_stop(name, async move {
            token.cancel();
            Ok(running.await?)
        });
    }

    /// Opens a door for gRPC: binds the address. Off loopback it asks for `--insecure`.
    pub async fn listen(&mut self, address: SocketAddr) -> anyhow::Result<Door> {
        self.check_exposure(address)?;
        Door::open(address).await
    }

    /// Refuses an address that other machines reach, unless `--insecure` says that it is meant.
    pub fn check_exposure(&self, address: SocketAddr) -> anyhow::Result<()> {
        if address.ip().is_loopback() {
            return Ok(());
        }
        anyhow::ensure!(
            self.config.insecure,
            "{address} can be reached by other machines and nothing would be encrypted; give --insecure if that is meant"
        );
        tracing::warn!("{address} is served without encryption: whoever reaches it can read and change everything");
        Ok(())
    }

    /// Serves behind the door until the process stops; then drains, at most 5 s.
    pub async fn serve(&mut self, door: Door, services: Services) -> anyhow::Result<()> {
        let address = door.address();
        let (routes, health) = services.finish(&self.identity, &self.graph, self.load.clone()).await?;
        let (drain, cut) = (CancellationToken::new(), CancellationToken::new());
        let serving = task::detach("server", server::serve(door, routes, drain.clone(), cut.clone()));
        let stopping = self.stopping.clone();
        self.on_stop("server", async move {
            health.leave().await;
            stopping.cancel();
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
        let sign = sign.advertised(self.config.advertise).in_zone(self.config.zone.clone());
        let address = sign.address();
        anyhow::ensure!(
            !address.ip().is_unspecified(),
            "others cannot call {address}; give --advertise IP:PORT with an address that they reach"
        );
        let registration = Registration::new(mesh.registry(), self.identity.clone(), sign, self.load.clone());
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
        self.stopping.clone()
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn step(&mut self, name: &'static str) {
        let elapsed = std::mem::replace(&mut self.last_step, Instant::now()).elapsed();
        self.graph.step(name, elapsed);
    }

    /// What a failed start undoes, as the end of a sentence.
    fn undoing(&self) -> String {
        let names: Vec<&str> = self.steps.iter().rev().map(|step| step.name).collect();
        if names.is_empty() { String::new() } else { format!("; undoing: {}", names.join(", ")) }
    }

    /// Runs the stop steps in reverse, each within its budget and all within theirs.
    ///
    /// After a failed start only its cause is said: what could not be undone cleanly follows from it.
    async fn stop(self, was_up: bool) {
        let end = Instant::now() + STOP_BUDGET;
        for step in self.steps.into_iter().rev() {
            let started = Instant::now();
            let budget = STEP_BUDGET.min(end.saturating_duration_since(started));
            match tokio::time::timeout(budget, step.stop).await {
                Ok(Ok(())) => tracing::debug!("stopped {} in {:?}", step.name, started.elapsed()),
                Ok(Err(error)) if !was_up => tracing::debug!("could not stop {} cleanly: {error:#}", step.name),
                Ok(Err(error)) => tracing::warn!("could not stop {} cleanly: {error:#}", step.name),
                Err(_) => tracing::warn!("gave up stopping {} after {budget:?}", step.name),
            }
        }
    }
}

async fn ship_last_words(shipper: Shipper) -> anyhow::Result<()> {
    match tokio::time::timeout(LAST_WORDS, shipper.stop()).await {
        Ok(0) => Ok(()),
        Ok(1) => anyhow::bail!("the last log record did not reach the log service"),
        Ok(left) => anyhow::bail!("the last {left} log records did not reach the log service"),
        Err(_) => anyhow::bail!("the log service did not take the last log records in time"),
    }
}

async fn keep_until<K, F>(outbox: Arc<Outbox>, keep: K, stop: CancellationToken)
where
    K: Fn(Arc<Shipment>) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    loop {
        tokio::select! {
            () = outbox.filled() => {}
            () = stop.cancelled() => if outbox.is_empty() { return },
        }
        let shipment = Arc::new(outbox.take());
        while keep(shipment.clone()).await.is_err() {
            if stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if let Some(shipment) = Arc::into_inner(shipment) {
            outbox.settle(shipment);
        }
    }
}
