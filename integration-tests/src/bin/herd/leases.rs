//! Instances without doors, many in each heartbeat: what a few large processes hold.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{HeartbeatRequest, HeartbeatResponse, InstanceState, Lease, RegisterRequest};
use tokio::sync::{Barrier, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::instances::time_to_live;
use crate::{connect, say, spawn};

/// What one heartbeat renews at most.
const PER_STREAM: usize = 64;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The service that they are instances of
    #[arg(long)]
    service: String,

    /// How many
    #[arg(long)]
    count: usize,

    /// How long they may be silent
    #[arg(long, value_name = "MILLISECONDS")]
    lease_ms: u64,

    /// Beat once, all together, and never again; the streams stay open
    #[arg(long)]
    once: bool,
}

/// Registers all, then beats all in the same moment.
pub(crate) async fn run(registry: Endpoint, arguments: Arguments) -> anyhow::Result<()> {
    let numbers: Vec<usize> = (0..arguments.count).collect();
    let holders: Vec<&[usize]> = numbers.chunks(PER_STREAM).collect();
    let (together, beaten) = (Arc::new(Barrier::new(holders.len())), Arc::new(Semaphore::new(0)));
    let count = u32::try_from(holders.len())?;
    for (channel, numbers) in connect(&registry, holders.len()).await?.into_iter().zip(holders) {
        let requests = numbers.iter().map(|n| registration(&arguments, *n)).collect();
        let holder = Holder { client: RegistryServiceClient::new(channel), once: arguments.once };
        spawn("holder", holder.hold(requests, together.clone(), beaten.clone()));
    }
    let _all = beaten.acquire_many(count).await?;
    say("ready", arguments.count);
    std::future::pending().await
}

/// Each has an address of its own, where nobody listens.
fn registration(arguments: &Arguments, n: usize) -> RegisterRequest {
    RegisterRequest {
        service: arguments.service.clone(),
        instance_id: format!("lease-{n:05}"),
        boot_nonce: fastrand::u64(1..),
        address: format!("127.1.{}.{}:9", n / 250, n % 250 + 1),
        version: "1.0.0".into(),
        time_to_live: Some(time_to_live(arguments.lease_ms)),
        ..Default::default()
    }
}

/// One process with many leases.
struct Holder {
    client: RegistryServiceClient<Channel>,
    once: bool,
}

impl Holder {
    async fn hold(
        mut self,
        requests: Vec<RegisterRequest>,
        together: Arc<Barrier>,
        beaten: Arc<Semaphore>,
    ) -> anyhow::Result<()> {
        let (mut leases, mut period) = (Vec::new(), None);
        for request in requests {
            let (service, instance_id) = (request.service.clone(), request.instance_id.clone());
            let granted = self.client.register(request).await?.into_inner();
            period = granted.heartbeat_period.as_ref().and_then(mesh::from_duration);
            let (incarnation, state) = (granted.incarnation, InstanceState::Ready.into());
            leases.push(Lease { service, instance_id, incarnation, state, load: None });
        }
        let period = period.context("no period was granted")?;
        together.wait().await;
        let (beats, sent) = mpsc::channel(1);
        beats.try_send(HeartbeatRequest { sequence: 1, leases: leases.clone() })?;
        let mut answers = self.client.heartbeat(ReceiverStream::new(sent)).await?.into_inner();
        answer(&mut answers).await?;
        beaten.add_permits(1);
        if self.once {
            // Silence, and an open stream.
            while answer(&mut answers).await.is_ok() {}
            drop(beats);
            return Ok(());
        }
        self.go_on(period, leases, beats, answers).await
    }

    async fn go_on(
        self,
        period: Duration,
        leases: Vec<Lease>,
        beats: mpsc::Sender<HeartbeatRequest>,
        mut answers: Streaming<HeartbeatResponse>,
    ) -> anyhow::Result<()> {
        for sequence in 2.. {
            tokio::time::sleep(period).await;
            beats.send(HeartbeatRequest { sequence, leases: leases.clone() }).await?;
            answer(&mut answers).await?;
        }
        Ok(())
    }
}

async fn answer(answers: &mut Streaming<HeartbeatResponse>) -> anyhow::Result<HeartbeatResponse> {
    answers.message().await?.context("the registry ended the stream")
}
