//! Starts the four services in one terminal and shows what becomes of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harness::certificates::{Certificates, OPERATOR};
use harness::process::{Process, Program, describe};
use harness::{binaries, health};
use mesh::{Mesh, RegistryAddress};
use owo_colors::AnsiColors;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::say;

mod changes;
mod welcome;

use changes::Changes;
pub(crate) use changes::sentence;

/// A service that does not serve, and says nothing for so long, has a problem that waiting does not solve.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The exit code of an import with `--only-if-new` into a catalogue that is not.
const CATALOGUE_NOT_NEW: i32 = 3;

/// Where the authority and the certificates of `up --tls` are.
const TLS_FOLDER: &str = "data/tls";

/// The lines of a dead process that are shown.
const LAST_LINES: usize = 8;

/// What `up` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many product services
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    products: u8,

    /// The sample that a new catalogue is filled with: `sample`, a CSV file, or `none`
    #[arg(long, env = "SEED", default_value = "sample")]
    seed: String,

    /// Where the registry listens
    #[arg(long, env = "REGISTRY_LISTEN", default_value = "127.0.0.1:5051", value_name = "IP:PORT")]
    registry: SocketAddr,

    /// Where the log service listens
    #[arg(long, env = "LOGSVC_LISTEN", default_value = "127.0.0.1:5052", value_name = "IP:PORT")]
    logsvc: SocketAddr,

    /// Where the first product service listens; the others take free ports
    #[arg(long, env = "PRODUCTSVC_LISTEN", default_value = "127.0.0.1:5053", value_name = "IP:PORT")]
    productsvc: SocketAddr,

    /// Where the portal's gRPC face listens
    #[arg(long, env = "PORTAL_LISTEN", default_value = "127.0.0.1:5054", value_name = "IP:PORT")]
    portal: SocketAddr,

    /// Where the portal's pages are
    #[arg(long, env = "PORTAL_HTTP_LISTEN", default_value = "127.0.0.1:5050", value_name = "IP:PORT")]
    portal_http: SocketAddr,

    /// Encrypt all connections between processes: makes an authority and certificates in data/tls when there are none
    #[arg(long)]
    tls: bool,

    /// The log file
    #[arg(long, env = "LOGSVC_FILE", default_value = "data/app.log", value_name = "FILE")]
    log_file: PathBuf,
}

/// The running services, in the order in which they started.
struct Fleet {
    processes: Vec<Process>,
    addresses: Vec<(String, SocketAddr)>,
    /// What their connections are encrypted with, and who we are.
    certificates: Option<Certificates>,
    mesh: Mesh,
    /// Whether the services' own lines are shown: while they start and stop.
    shown: Arc<AtomicBool>,
}

/// Runs until Ctrl-C.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut fleet = Fleet::prepare(&arguments)?;
    let mut stops = Stops::listen()?;
    let mut changes = Changes::new(fleet.mesh.clone());
    let started = async {
        start(&mut fleet, &arguments).await?;
        // Before anybody is told that it is up, or who dies just then would be part of the first picture.
        tokio::time::timeout(START_TIMEOUT, changes.begin()).await.context("the registry does not answer")
    };
    let started = tokio::select! {
        started = started => started,
        () = stops.next() => Err(anyhow::anyhow!("stopped during the start")),
    };
    let code = match started {
        Ok(stream) => {
            fleet.shown.store(false, Ordering::Relaxed);
            welcome::print(&arguments, &fleet.addresses, fleet.certificates.as_ref());
            watch(&mut fleet, changes.follow(stream), &mut stops).await;
            println!("\nstopping");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{}", say::coloured(&format!("could not start: {error:#}"), AnsiColors::Red));
            ExitCode::FAILURE
        }
    };
    tokio::select! {
        () = fleet.stop() => Ok(code),
        // Dropping the fleet kills what is left.
        () = stops.next() => Ok(ExitCode::from(130)),
    }
}

async fn start(fleet: &mut Fleet, arguments: &Arguments) -> anyhow::Result<()> {
    let file = seed_file(&arguments.seed)?;
    let binaries = binaries::folder()?;
    let folder = std::env::current_dir()?;
    let certificates = fleet.certificates.clone();
    let program = |name: &str| {
        let program = Program::new(&binaries, name, &folder)
            .set("RUNDOO_REGISTRY", arguments.registry)
            .set("CLICOLOR_FORCE", if *say::COLOURED { "1" } else { "" });
        match &certificates {
            None => program,
            Some(own) => own.give(program, name).set("RUNDOO_POLICY", own.policy().display()),
        }
    };
    // The log service first and, in reverse, last: so it hears everybody's last words.
    fleet
        .start(
            "logsvc",
            program("logsvc").set("LOGSVC_LISTEN", arguments.logsvc).set("LOGSVC_FILE", arguments.log_file.display()),
        )
        .await?;
    fleet.start("registry", program("registry").set("REGISTRY_LISTEN", arguments.registry)).await?;
    for number in 1..=arguments.products {
        let (label, listen) = match number {
            1 => ("productsvc".to_owned(), arguments.productsvc),
            _ => (format!("productsvc {number}"), SocketAddr::from(([127, 0, 0, 1], 0))),
        };
        fleet.start(&label, program("productsvc").set("PRODUCTSVC_LISTEN", listen)).await?;
    }
    let portal =
        program("portal").set("PORTAL_LISTEN", arguments.portal).set("PORTAL_HTTP_LISTEN", arguments.portal_http);
    fleet.start("portal", portal).await?;
    wait_for_pages(arguments).await?;
    match file {
        Some(file) => {
            let program = Program::new(&binaries, "productsvc", &folder).set("RUNDOO_REGISTRY", arguments.registry);
            seed(&file, fleet.certificates.iter().fold(program, |program, own| own.give(program, OPERATOR))).await
        }
        None => Ok(()),
    }
}

impl Fleet {
    /// Nothing is started yet. Where connections are to be encrypted, what is missing for that is made.
    fn prepare(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut registry = RegistryAddress::plain(vec![arguments.registry.to_string()]);
        let certificates = match arguments.tls {
            true => Some(Certificates::complete(&std::env::current_dir()?.join(TLS_FOLDER))?),
            false => None,
        };
        if let Some(certificates) = &certificates {
            registry.tls = certificates.files(OPERATOR);
        }
        let (mesh, shown) = (Mesh::client_of(&registry)?, Arc::new(AtomicBool::new(true)));
        Ok(Self { processes: Vec::new(), addresses: Vec::new(), certificates, mesh, shown })
    }

    /// Starts one and waits until it is SERVING.
    async fn start(&mut self, label: &str, program: Program) -> anyhow::Result<()> {
        let on_line = say::lines(label.to_owned(), self.shown.clone());
        let mut process = program.label(label).on_line(on_line).start()?;
        let silence = process.silence(START_TIMEOUT);
        let serving = async {
            let address = process.address().await?;
            let check = async || health::check_on(health::connect_by(&self.mesh, address).await?).await;
            while check().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(address)
        };
        let address = tokio::select! {
            address = serving => address,
            () = silence => anyhow::bail!("{label} does not serve, and has said nothing for {START_TIMEOUT:?}"),
        };
        let address = address.map_err(|_| anyhow::anyhow!("{label} ended; its last lines above say why"))?;
        self.processes.push(process);
        self.addresses.push((label.to_owned(), address));
        Ok(())
    }

    /// Stops all, the last one first.
    async fn stop(&mut self) {
        self.shown.store(true, Ordering::Relaxed);
        while let Some(mut process) = self.processes.pop() {
            match process.stop().await {
                Ok(_) => println!("{} stopped", process.label()),
                Err(error) => println!("{error:#}"),
            }
        }
    }
}

/// Waits until the portal shows products, so that the link works when it is printed.
async fn wait_for_pages(arguments: &Arguments) -> anyhow::Result<()> {
    let end = Instant::now() + START_TIMEOUT;
    loop {
        match harness::http::get(arguments.portal_http, "/").await {
            Ok(page) if page.status.is_success() => return Ok(()),
            outcome if Instant::now() > end => anyhow::bail!("the portal shows no products: {outcome:?}"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The file that a new catalogue is filled with, if any; it must be there before anything starts.
fn seed_file(seed: &str) -> anyhow::Result<Option<PathBuf>> {
    let file = match seed {
        "none" => return Ok(None),
        "sample" => binaries::root().join("productsvc/sample/catalogue.csv"),
        file => std::path::absolute(file)?,
    };
    anyhow::ensure!(file.is_file(), "there is no file {} to fill a new catalogue with", file.display());
    Ok(Some(file))
}

/// Fills a catalogue that has never held a product.
async fn seed(file: &Path, program: Program) -> anyhow::Result<()> {
    let mut import = program
        .label("import")
        .argument("import")
        .argument(file.display().to_string())
        .argument("--only-if-new")
        .start()?;
    let status = import.wait().await?;
    if status.code() == Some(CATALOGUE_NOT_NEW) {
        return Ok(());
    }
    // What it said last may still be in the pipe.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for text in import.output().lines() {
        say::line("import", text);
    }
    Ok(())
}

/// Shows changes of state until it is time to stop.
async fn watch(fleet: &mut Fleet, following: impl Future<Output = ()>, stops: &mut Stops) {
    tokio::pin!(following);
    let mut check = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            () = &mut following => {}
            _ = check.tick() => report_ends(fleet),
            () = stops.next() => return,
        }
    }
}

/// Says which processes ended by themselves, how, and what they said last.
fn report_ends(fleet: &mut Fleet) {
    fleet.processes.retain_mut(|process| {
        let Some(status) = process.ended() else { return true };
        let text = format!(
            "{} {} ended: {}; the others go on. Its last lines:",
            say::clock(),
            process.label(),
            describe(status)
        );
        println!("{}", say::coloured(&text, AnsiColors::Red));
        for text in process.last_lines(LAST_LINES).lines() {
            say::line(process.label(), text);
        }
        false
    });
}

/// What tells the launcher to stop.
struct Stops {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Stops {
    fn listen() -> anyhow::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup: signal(SignalKind::hangup())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
