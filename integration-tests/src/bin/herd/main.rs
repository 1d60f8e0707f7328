//! A herd of clients for benchmarks: instances, leases and watches by the thousand, in a process of its own.
//!
//! It says on standard output what it has done and measured, a name and a number a
//! line. It ends with its standard input, as the bare echo does.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it measured")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser as _;
use tonic::transport::{Channel, Endpoint};

mod instances;
mod leases;
mod watches;
mod arrivals;
mod etcd;

/// A neighbour accepts in microseconds; this is what a client of the mesh waits too.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Long enough for the kernel to ask again a few times when it was too busy to answer.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Connections and streams that are opened at the same time: far below what a listener's queue holds.
const AT_ONCE: usize = 64;

/// Failures that are shown: when a server is gone, thousands fail alike.
const SHOWN: usize = 3;

/// A herd of clients: what benchmarks load the registry with, or etcd.
#[derive(Debug, clap::Parser)]
#[command(name = "herd", version)]
struct Arguments {
    /// Where the registry is, or etcd
    #[arg(long, value_name = "IP:PORT")]
    at: SocketAddr,

    /// What to be
    #[command(subcommand)]
    herd: Herd,
}

#[derive(Debug, clap::Subcommand)]
enum Herd {
    /// Instances with a door, a connection and a heartbeat of their own
    Instances(instances::Arguments),
    /// Instances without doors, many in each heartbeat
    Leases(leases::Arguments),
    /// Watches that are told of changes
    Watches(watches::Arguments),
    /// The same in etcd
    #[command(subcommand)]
    Etcd(etcd::Herd),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        let end = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        tokio::select! {
            done = run(arguments) => done,
            _ = end => Ok(()),
        }
    });
    // Standard input may still be open, and somebody reading it.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let at = Endpoint::from_shared(format!("http://{}", arguments.at))?.connect_timeout(CONNECT_TIMEOUT);
    match arguments.herd {
        Herd::Instances(arguments) => instances::run(at, arguments).await?,
        Herd::Leases(arguments) => leases::run(at, arguments).await?,
        Herd::Watches(arguments) => watches::run(at, arguments).await?,
        Herd::Etcd(herd) => etcd::run(at, herd).await?,
    }
    // What was opened stays open until whoever started this has seen enough.
    std::future::pending().await
}

/// Says one fact.
fn say(name: &str, value: impl std::fmt::Display) {
    println!("{name} {value}");
}

/// Runs a part of the herd. How the first few failed is shown to whoever waits in vain for what is said.
fn spawn(name: &'static str, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
    static FAILED: AtomicUsize = AtomicUsize::new(0);
    mesh::spawn(name, async move {
        if let Err(error) = work.await
            && FAILED.fetch_add(1, Ordering::Relaxed) < SHOWN
        {
            eprintln!("{name}: {error:#}");
        }
    });
}

/// Opens so many connections. What is measured begins later, so they may take their time.
async fn connect(at: &Endpoint, count: usize) -> anyhow::Result<Vec<Channel>> {
    use futures_util::{StreamExt as _, TryStreamExt as _};
    let at = at.clone().connect_timeout(CONNECT_PATIENCE);
    let connecting = futures_util::stream::iter(0..count).map(|_| at.connect());
    Ok(connecting.buffer_unordered(AT_ONCE).try_collect().await?)
}
