//! Watches of one service, and changes of its one instance that each of them is told of.

use std::sync::Arc;

use anyhow::Context as _;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::watch_response::Event;
use proto::registry::{RegisterRequest, WatchRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use crate::arrivals::{Arrivals, arrivals};
use crate::instances::time_to_live;
use crate::{connect, say, spawn};

/// The service that is watched.
const SERVICE: &str = "changing";

/// The instance never beats; it lives until it was measured.
const LEASE_MS: u64 = 300_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Connections
    #[arg(long)]
    pub(crate) connections: usize,

    /// Watches on each connection
    #[arg(long)]
    pub(crate) watches: usize,

    /// How often the instance changes
    #[arg(long, default_value_t = 10)]
    pub(crate) changes: usize,
}

/// Watches, changes the instance, and says how long it took until each watch was told.
pub(crate) async fn run(registry: Endpoint, arguments: Arguments) -> anyhow::Result<()> {
    let all = arguments.connections * arguments.watches;
    let (arrivals, clock) = arrivals(all);
    let arrivals = Arc::new(arrivals);
    let mut changer = RegistryServiceClient::new(registry.connect().await?);
    for channel in connect(&registry, arguments.connections).await? {
        for _ in 0..arguments.watches {
            spawn("watch", follow(RegistryServiceClient::new(channel.clone()), arrivals.clone()));
        }
    }
    arrivals.stand(all).await?;
    say("ready", all);
    // A new start of the instance: the one before it goes DOWN, and both are told as one change.
    let change = async || Ok(changer.register(registration()).await?.into_inner().revision);
    clock.measure(arguments.changes, change).await
}

fn registration() -> RegisterRequest {
    RegisterRequest {
        service: SERVICE.into(),
        instance_id: "one".into(),
        boot_nonce: fastrand::u64(1..),
        address: "127.0.0.1:9".into(),
        version: "1.0.0".into(),
        time_to_live: Some(time_to_live(LEASE_MS)),
        ..Default::default()
    }
}

/// Follows until the stream ends, and acknowledges as clients of the mesh do.
async fn follow(mut client: RegistryServiceClient<Channel>, arrivals: Arc<Arrivals>) -> anyhow::Result<()> {
    let (requests, sent) = mpsc::channel(1);
    let first = WatchRequest { services: vec![SERVICE.into()], acknowledges: true, ..Default::default() };
    requests.send(first).await?;
    let mut stream = client.watch(ReceiverStream::new(sent)).await?.into_inner();
    loop {
        let message = stream.message().await?.context("the registry ended the watch")?;
        match message.event {
            Some(Event::SnapshotEnd(_)) => arrivals.standing.add_permits(1),
            Some(Event::Delta(_)) => arrivals.came(message.revision),
            _ => continue,
        }
        let (epoch, revision) = (message.epoch, message.revision);
        requests.send(WatchRequest { epoch, revision, ..Default::default() }).await?;
    }
}
