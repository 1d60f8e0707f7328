//! Instances as real processes are: each has a door, a connection and a heartbeat of its own.
//!
//! They come back as `mesh` does: no answer for two periods is a broken stream, and
//! then they connect and register again with the same boot nonce, after a jittered wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{HeartbeatRequest, InstanceState, Lease, Load, RegisterRequest, RegisterResponse, TimeToLive};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::say;

/// A registry that does not answer in this time is tried again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Instances start evenly over one period, as those of a grown mesh beat.
const START: Duration = Duration::from_secs(2);

/// The waits before another attempt double from the first to the longest, half of each by chance.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The service that they are instances of
    #[arg(long)]
    service: String,

    /// What their ids begin with
    #[arg(long, default_value = "i")]
    prefix: String,

    /// How many
    #[arg(long, default_value_t = 1)]
    count: usize,

    /// How long they may be silent; without it the registry decides
    #[arg(long, value_name = "MILLISECONDS")]
    lease_ms: Option<u64>,

    /// The address that they register instead of a door of their own
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,

    /// Beats in quick succession to begin with: they leave the buffers as minutes of beating would
    #[arg(long, default_value_t = 1)]
    quick_beats: u64,

    /// Say each beat that was answered
    #[arg(long)]
    say_beats: bool,
}

/// Starts them, and says when each of them has beaten and is in step.
pub(crate) async fn run(registry: Endpoint, arguments: Arguments) -> anyhow::Result<()> {
    let (beaten, count) = (Arc::new(Semaphore::new(0)), arguments.count);
    let began = Instant::now();
    for n in 0..count {
        tokio::time::sleep_until(began + START.mul_f64(n as f64 / count as f64)).await;
        let address = match arguments.address {
            Some(address) => address,
            None => open_door().await?,
        };
        let request = RegisterRequest {
            service: arguments.service.clone(),
            instance_id: format!("{}-{n:05}", arguments.prefix),
            boot_nonce: fastrand::u64(1..),
            address: address.to_string(),
            version: "1.0.0".into(),
            time_to_live: arguments.lease_ms.map(time_to_live),
            ..Default::default()
        };
        let (registry, beaten, quick_beats) = (registry.clone(), beaten.clone(), arguments.quick_beats);
        mesh::spawn("instance", Instance { registry, request, beaten, quick_beats, says: arguments.say_beats }.live());
    }
    let _all = beaten.acquire_many(u32::try_from(count)?).await?;
    say("ready", count);
    std::future::pending().await
}

/// A lease of exactly this, if the registry can.
pub(crate) fn time_to_live(milliseconds: u64) -> TimeToLive {
    TimeToLive { want: prost_types::Duration::try_from(Duration::from_millis(milliseconds)).ok(), ..Default::default() }
}

/// Listens, takes whoever comes, and serves nothing.
async fn open_door() -> anyhow::Result<SocketAddr> {
    let door = TcpListener::bind(("127.0.0.1", 0)).await.context("could not open a door")?;
    let address = door.local_addr()?;
    mesh::spawn("door", async move {
        while let Ok((mut visitor, _)) = door.accept().await {
            // Until the visitor goes; how it does is nothing to us.
            drop(tokio::io::copy(&mut visitor, &mut tokio::io::sink()).await);
        }
    });
    Ok(address)
}

struct Instance {
    registry: Endpoint,
    request: RegisterRequest,
    /// Given a permit by each stream whose quick beats were answered.
    beaten: Arc<Semaphore>,
    quick_beats: u64,
    says: bool,
}

impl Instance {
    /// Registers and beats for ever.
    async fn live(self) {
        let (mut wait, mut quick_beats) = (FIRST_WAIT, self.quick_beats);
        loop {
            let mut answered = 0;
            // However it ends, the next attempt is the same, but in step from its first beat on.
            drop(self.beat(quick_beats, &mut answered).await);
            quick_beats = if answered >= quick_beats { 1 } else { quick_beats };
            wait = if answered > 0 { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }

    /// Beats until the stream breaks; counts the beats that were answered.
    async fn beat(&self, quick_beats: u64, answered: &mut u64) -> anyhow::Result<()> {
        let mut client = RegistryServiceClient::new(self.registry.connect().await?);
        let granted = timeout(ANSWER_TIMEOUT, client.register(self.request.clone())).await??.into_inner();
        let period = granted.heartbeat_period.as_ref().and_then(mesh::from_duration).context("a period")?;
        // A beat that finds no room is left out: the next says the same anew.
        let (beats, sent) = mpsc::channel(1);
        beats.try_send(self.next_beat(1, &granted))?;
        let mut answers = timeout(ANSWER_TIMEOUT, client.heartbeat(ReceiverStream::new(sent))).await??.into_inner();
        let (mut heard, mut due, mut sequence) = (Instant::now(), Instant::now() + period, 1);
        loop {
            tokio::select! {
                answer = timeout_at(heard + period * 2, answers.message()) => {
                    let answer = answer??.context("the registry ended the stream")?;
                    anyhow::ensure!(answer.commands.is_empty(), "the registry wants something: {answer:?}");
                    heard = Instant::now();
                    *answered += 1;
                    if *answered < quick_beats {
                        due = Instant::now();
                    } else if *answered == quick_beats {
                        self.beaten.add_permits(1);
                    }
                    if self.says {
                        say("beat", answer.sequence);
                    }
                }
                () = tokio::time::sleep_until(due) => {
                    due += period;
                    sequence += 1;
                    drop(beats.try_send(self.next_beat(sequence, &granted)));
                }
            }
        }
    }

    fn next_beat(&self, sequence: u64, granted: &RegisterResponse) -> HeartbeatRequest {
        let lease = Lease {
            service: self.request.service.clone(),
            instance_id: self.request.instance_id.clone(),
            incarnation: granted.incarnation,
            state: InstanceState::Ready.into(),
            load: Some(Load::default()),
        };
        HeartbeatRequest { sequence, leases: vec![lease] }
    }
}
