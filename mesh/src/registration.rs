//! The sign over the door: registers this process and keeps its lease alive.
//!
//! After any break it registers again by itself, with jitter. Nothing waits for
//! the registry: a process that cannot reach it serves all the same.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DeregisterRequest, HeartbeatRequest, Lease, RegisterRequest, RegisterResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::identity::Identity;
use crate::time::from_duration;

/// A registry that does not answer in this time is tried again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Saying goodbye is polite, not vital: the broken heartbeat tells the rest.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after the goodbye requests are still taken: watchers are told within
/// milliseconds, and one that is a little late must not find the door closed.
const LAST_GUESTS: Duration = Duration::from_millis(100);

/// What others are told about this process.
#[derive(Debug, Clone)]
pub struct Sign {
    address: SocketAddr,
    links: HashMap<String, String>,
    required_services: Vec<String>,
}

impl Sign {
    /// A process that serves gRPC at `address`.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, links: HashMap::new(), required_services: Vec::new() }
    }

    /// Where others should call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds an address for people, such as the portal's `http`.
    pub fn link(mut self, scheme: impl Into<String>, url: impl Into<String>) -> Self {
        self.links.insert(scheme.into(), url.into());
        self
    }

    /// Names a service that this one cannot work without.
    pub fn requires(mut self, service: impl Into<String>) -> Self {
        self.required_services.push(service.into());
        self
    }

    /// The same with the address that others should use, if there is one.
    pub(crate) fn advertised(mut self, address: Option<SocketAddr>) -> Self {
        self.address = address.unwrap_or(self.address);
        self
    }
}

/// A registration that is being kept.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    registry: Channel,
    identity: Identity,
    sign: Sign,
    /// The living incarnation, while there is one.
    incarnation: Arc<Mutex<Option<u64>>>,
    /// Cancelled by the goodbye: from then on no beat and no registration follow it.
    leaving: CancellationToken,
}

impl Registration {
    pub(crate) fn new(registry: Channel, identity: Identity, sign: Sign) -> Self {
        Self { registry, identity, sign, incarnation: Arc::default(), leaving: CancellationToken::new() }
    }

    /// Registers and beats until the goodbye; then holds the stream open until this is dropped.
    pub(crate) async fn keep(self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
        let mut said_away = false;
        loop {
            match self.register().await {
                Ok(lease) => {
                    let incarnation = lease.incarnation;
                    tracing::info!(
                        registry.incarnation = incarnation,
                        "registered as {} at {}",
                        self.identity,
                        self.sign.address
                    );
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

    /// Takes the sign down.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        // A beat after the goodbye would be answered "register again", and be obeyed.
        self.leaving.cancel();
        let incarnation = *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(incarnation) = incarnation else { return Ok(()) };
        let request = DeregisterRequest {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            incarnation,
            drain_timeout: None,
        };
        let mut client = RegistryServiceClient::new(self.registry);
        let answer = tokio::time::timeout(GOODBYE_TIMEOUT, client.deregister(request)).await;
        match answer.context("the registry did not answer")? {
            // A registry that is gone holds no sign to take down.
            Err(status) if status.code() == Code::Unavailable => Ok(()),
            Err(status) => anyhow::bail!("the registry refused: {}", status.message()),
            Ok(_) => {
                tokio::time::sleep(LAST_GUESTS).await;
                Ok(())
            }
        }
    }

    async fn register(&self) -> Result<RegisterResponse, Status> {
        let mut request = Request::new(RegisterRequest {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            boot_nonce: self.identity.boot_nonce(),
            address: self.sign.address.to_string(),
            version: self.identity.version().to_owned(),
            links: self.sign.links.clone(),
            required_services: self.sign.required_services.clone(),
            ..Default::default()
        });
        request.set_timeout(ANSWER_TIMEOUT);
        let lease = RegistryServiceClient::new(self.registry.clone()).register(request).await?.into_inner();
        *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.incarnation);
        Ok(lease)
    }

    /// Beats until the stream breaks, and says why it did.
    async fn beat(&self, lease: RegisterResponse) -> Status {
        let period = lease.heartbeat_period.as_ref().and_then(from_duration).unwrap_or(Duration::from_secs(2));
        let (beats, sent) = mpsc::channel(1);
        let mut sequence = 0;
        let first = self.next_beat(&mut sequence, lease.incarnation);
        if beats.send(first).await.is_err() {
            return Status::unavailable("the stream was not opened");
        }
        let mut client = RegistryServiceClient::new(self.registry.clone());
        let opened = tokio::time::timeout(ANSWER_TIMEOUT, client.heartbeat(ReceiverStream::new(sent))).await;
        let mut answers = match opened {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return status,
            Err(_) => return Status::unavailable("the registry does not answer"),
        };
        loop {
            match tokio::time::timeout(period * 2, answers.message()).await {
                Ok(Ok(Some(answer))) if answer.unknown_leases.is_empty() => {}
                Ok(Ok(Some(_))) if self.leaving.is_cancelled() => std::future::pending().await,
                Ok(Ok(Some(_))) => return Status::not_found("the registry does not know this lease"),
                Ok(Ok(None)) => return Status::unavailable("the registry ended the stream"),
                Ok(Err(status)) => return status,
                Err(_) => return Status::unavailable("the registry is silent"),
            }
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                // The stream stays open: closing it before the goodbye arrives would look like a crash.
                () = self.leaving.cancelled() => std::future::pending().await,
            }
            if beats.send(self.next_beat(&mut sequence, lease.incarnation)).await.is_err() {
                return Status::unavailable("the stream broke");
            }
        }
    }

    fn next_beat(&self, sequence: &mut u64, incarnation: u64) -> HeartbeatRequest {
        *sequence += 1;
        let lease = Lease {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            incarnation,
            ..Default::default()
        };
        HeartbeatRequest { sequence: *sequence, leases: vec![lease] }
    }
}
