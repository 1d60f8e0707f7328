//! The sign over the door: registers this process and keeps its lease alive.
//!
//! After any break it registers again by itself, with jitter. Nothing waits for
//! the registry: a process that cannot reach it serves all the same. What the
//! registry orders is done here too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DeregisterRequest, HeartbeatRequest, InstanceState, Lease, RegisterRequest, RegisterResponse};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::identity::Identity;
use crate::stats::Stats;
use crate::time::from_duration;

mod beating;
mod sign;

pub use sign::Sign;

/// A registry that does not answer in this time is tried again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the goodbye waits until every caller knows; they know within milliseconds unless one hangs.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Saying goodbye is polite, not vital: the broken heartbeat tells the rest.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(4);

/// A registration that is being kept.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    registry: Channel,
    identity: Identity,
    sign: Sign,
    stats: Arc<Stats>,
    /// The living incarnation, while there is one.
    incarnation: Arc<Mutex<Option<u64>>>,
    /// An operator wants no more calls here.
    drained: Arc<AtomicBool>,
    /// Cancelled by the goodbye: from then on no registration follows it.
    leaving: CancellationToken,
}

impl Registration {
    pub(crate) fn new(registry: Channel, identity: Identity, sign: Sign, stats: Arc<Stats>) -> Self {
        Self {
            registry,
            identity,
            sign,
            stats,
            incarnation: Arc::default(),
            drained: Arc::default(),
            leaving: CancellationToken::new(),
        }
    }

    /// Registers and beats until this is dropped; after the goodbye it only goes on beating.
    pub(crate) async fn keep(self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
        let mut said_away = false;
        loop {
            match self.register().await {
                Ok(lease) => {
                    let incarnation = lease.incarnation;
                    let address = self.sign.address();
                    tracing::info!(registry.incarnation = incarnation, "registered as {} at {address}", self.identity);
                    (said_away, _) = (false, backoff.reset());
                    let broken = self.beat(lease).await;
                    if self.leaving.is_cancelled() {
                        return;
                    }
                    tracing::warn!("the heartbeat broke: {}; registering again", broken.message());
                }
                Err(status) if !said_away => {
                    said_away = true;
                    tracing::warn!("could not register: {}; trying again until it works", status.message());
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = self.leaving.cancelled() => return,
            }
        }
    }

    /// Takes the sign down: returns when every caller knows that this process leaves, or after a few seconds.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        // A beat that is answered "register again" after the goodbye must not be obeyed.
        self.leaving.cancel();
        let incarnation = *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(incarnation) = incarnation else { return Ok(()) };
        let request = DeregisterRequest {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            incarnation,
            drain_timeout: prost_types::Duration::try_from(DRAIN_TIMEOUT).ok(),
        };
        let mut client = RegistryServiceClient::new(self.registry);
        let answer = tokio::time::timeout(GOODBYE_TIMEOUT, client.deregister(request)).await;
        match answer.context("the registry did not answer")? {
            // A registry that is gone holds no sign to take down.
            Err(status) if status.code() == Code::Unavailable => Ok(()),
            Err(status) => anyhow::bail!("the registry refused: {}", status.message()),
            Ok(answer) => {
                let callers = answer.into_inner().laggards;
                let names: Vec<&str> = callers.iter().map(|watcher| watcher.caller.as_str()).collect();
                anyhow::ensure!(names.is_empty(), "these callers may not know that it stops: {}", names.join(", "));
                Ok(())
            }
        }
    }

    async fn register(&self) -> Result<RegisterResponse, Status> {
        let mut request = Request::new(RegisterRequest {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            boot_nonce: self.identity.boot_nonce(),
            version: self.identity.version().to_owned(),
            state: self.state().into(),
            ..self.sign.registration()
        });
        request.set_timeout(ANSWER_TIMEOUT);
        let lease = RegistryServiceClient::new(self.registry.clone()).register(request).await?.into_inner();
        *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.incarnation);
        Ok(lease)
    }

    fn state(&self) -> InstanceState {
        match self.drained.load(Ordering::Relaxed) {
            true => InstanceState::Draining,
            false => InstanceState::Ready,
        }
    }

    fn next_beat(&self, sequence: &mut u64, incarnation: u64) -> HeartbeatRequest {
        *sequence += 1;
        let lease = Lease {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            incarnation,
            state: self.state().into(),
            load: Some(self.stats.load.report()),
        };
        HeartbeatRequest { sequence: *sequence, leases: vec![lease] }
    }

    /// How often to beat, as the registry said.
    fn period(given: Option<&prost_types::Duration>) -> Duration {
        given.and_then(from_duration).filter(|period| !period.is_zero()).unwrap_or(Duration::from_secs(2))
    }
}
