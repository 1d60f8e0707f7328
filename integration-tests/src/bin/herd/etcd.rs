//! The same herds in etcd: a registration is a lease and a key that is bound to it.

use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use tonic::transport::Endpoint;

use crate::etcd::client::Etcd;
use crate::watches::Arguments as Watches;
use crate::{connect, say};

mod messages;
mod client;
mod lapse;
mod keeping;
mod watching;

/// What a registry has to know of an instance takes about so many bytes.
const VALUE_BYTES: usize = 100;

/// Registrations are made by so many callers, as in the registry.
const CALLERS: usize = 64;

/// Different keys that are registered, as in the registry.
const KEYS: u64 = 10_000;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Herd {
    /// Registers again and again
    Register {
        /// For how long
        #[arg(long)]
        seconds: u64,
    },
    /// Leases with a connection and a stream of their own, each kept alive every two seconds
    Instances {
        /// How many
        #[arg(long)]
        count: usize,
    },
    /// Watches that are told of changes
    Watches(Watches),
    /// A few leases that are kept alive no more
    Hang {
        /// How many hang
        #[arg(long, default_value_t = 5)]
        count: u32,
        /// How long they may be silent; etcd grants no less than 2 s
        #[arg(long, default_value_t = 2)]
        lease_seconds: i64,
    },
    /// Leases that end together
    Lapse {
        /// How many
        #[arg(long)]
        count: usize,
        /// How long they may be silent; more than registering all takes
        #[arg(long, default_value_t = 10)]
        lease_seconds: i64,
    },
}

pub(crate) async fn run(at: Endpoint, herd: Herd) -> anyhow::Result<()> {
    match herd {
        Herd::Register { seconds } => register(&at, Duration::from_secs(seconds)).await,
        Herd::Instances { count } => keeping::run(at, count).await,
        Herd::Watches(arguments) => watching::run(at, arguments).await,
        Herd::Hang { count, lease_seconds } => lapse::hang(&at, count, lease_seconds).await,
        Herd::Lapse { count, lease_seconds } => lapse::all(&at, count, lease_seconds).await,
    }
}

/// Registrations a second over one connection.
async fn register(at: &Endpoint, time: Duration) -> anyhow::Result<()> {
    let etcd = Etcd::on(connect(at, 1).await?.pop().context("a connection")?);
    let traffic = Traffic::start(CALLERS, Duration::ZERO, move || {
        let etcd = etcd.clone();
        async move { etcd.register(&format!("instance-{:05}", fastrand::u64(..KEYS)), 60).await.map(drop) }
    });
    tokio::time::sleep(time).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "{} failed: {:?}", outcome.failed, outcome.failures);
    say("rate", outcome.rate());
    Ok(())
}
