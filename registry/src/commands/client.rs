//! The registry as a command asks it: with a deadline, and refused in sentences.

use std::time::Duration;

use mesh::{Mesh, Refusal};
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DiscoverRequest, DiscoverResponse, Instance};
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::commands::screen::Screen;

/// The generated client, through the mesh.
pub(super) type Stub = RegistryServiceClient<mesh::Channel>;

/// What a question from memory may take; a person notices a longer wait.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);

/// How long a registry is dialled before it counts as away: a lost host takes a second to be known as such.
const REACH: Duration = Duration::from_millis(1500);

/// How often it is dialled again.
const RETRY: Duration = Duration::from_millis(100);

/// As many as a page may have.
pub(super) const PAGE: i32 = 1000;

/// How the channel says that nobody is connected.
const UNREACHED: &str = "no instance of registry is connected: it cannot be reached";

/// Asks the registry.
#[derive(Debug)]
pub(super) struct Client {
    stub: Stub,
    addresses: String,
}

impl Client {
    pub(super) fn new(mesh: &Mesh, addresses: &[String]) -> Self {
        Self { stub: Stub::new(mesh.registry()), addresses: addresses.join(", ") }
    }

    /// Asks once, within `deadline` from the moment that the registry is reached.
    pub(super) async fn ask<M: Clone, T>(
        &self,
        deadline: Duration,
        message: M,
        call: impl AsyncFn(Stub, Request<M>) -> Result<Response<T>, Status>,
    ) -> anyhow::Result<T> {
        self.answer(deadline, message, call).await.map_err(|status| self.explained(&status))
    }

    /// The same, for who can do something about a refusal.
    pub(super) async fn answer<M: Clone, T>(
        &self,
        deadline: Duration,
        message: M,
        call: impl AsyncFn(Stub, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let attempt = async || {
            let mut request = Request::new(message.clone());
            request.set_timeout(deadline);
            call(self.stub.clone(), request).await
        };
        Ok(reaching(attempt).await?.into_inner())
    }

    /// Opens a stream; a deadline would end it, so only its beginning has one.
    pub(super) async fn open<M: Clone, T>(
        &self,
        message: M,
        call: impl AsyncFn(Stub, M) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Streaming<T>, Status> {
        let attempt = async || {
            let opened = tokio::time::timeout(DEADLINE, call(self.stub.clone(), message.clone())).await;
            opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("it does not answer")))
        };
        Ok(reaching(attempt).await?.into_inner())
    }

    /// Every instance that matches, and what the last page says beside them.
    pub(super) async fn instances(
        &self,
        wanted: &DiscoverRequest,
    ) -> anyhow::Result<(Vec<Instance>, DiscoverResponse)> {
        let mut request = DiscoverRequest { page_size: PAGE, ..wanted.clone() };
        let mut instances = Vec::new();
        loop {
            let ask = async |mut stub: Stub, request| stub.discover(request).await;
            let mut page = self.ask(DEADLINE, request.clone(), ask).await?;
            instances.append(&mut page.instances);
            if page.next_page_token.is_empty() {
                return Ok((instances, page));
            }
            request.page_token.clone_from(&page.next_page_token);
        }
    }

    /// Why a question was not answered, in a sentence.
    pub(super) fn explained(&self, status: &Status) -> anyhow::Error {
        let (addresses, message) = (&self.addresses, status.message());
        if let Some(trouble) = message.strip_prefix(UNREACHED) {
            return anyhow::anyhow!("the registry at {addresses} cannot be reached{trouble}");
        }
        match (status.code(), Refusal::reason(status)) {
            (Code::DeadlineExceeded, _) => anyhow::anyhow!("the registry at {addresses} does not answer in time"),
            (_, Some(reason)) => {
                let fields = Refusal::fields(status);
                let fields: String = fields.iter().map(|(field, fault)| format!("\n  {field} {fault}")).collect();
                anyhow::anyhow!("{message} ({reason}){fields}")
            }
            (_, None) => anyhow::anyhow!("the registry at {addresses} did not answer: {message}"),
        }
    }
}

/// Tries again for a while when nobody is connected yet: nothing was sent then.
async fn reaching<T>(attempt: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let end = Instant::now() + REACH;
    loop {
        match attempt().await {
            Err(status) if is_unsent(&status) && Instant::now() < end => tokio::time::sleep(RETRY).await,
            done => return done,
        }
    }
}

fn is_unsent(status: &Status) -> bool {
    Refusal::reason(status).as_deref() == Some("NO_INSTANCE")
}

/// The time in which a stream that is followed is broken; a person is told of it once.
#[derive(Debug, Default)]
pub(super) struct Outage {
    said: bool,
}

impl Outage {
    /// Waits a moment before the next attempt. Fails when no attempt will do better.
    pub(super) async fn wait(&mut self, client: &Client, status: &Status, screen: &Screen) -> anyhow::Result<()> {
        let is_hopeless = matches!(status.code(), Code::InvalidArgument | Code::Unimplemented | Code::PermissionDenied);
        if is_hopeless || status.code() == Code::Unauthenticated {
            return Err(client.explained(status));
        }
        if !std::mem::replace(&mut self.said, true) {
            let (addresses, why) = (&client.addresses, status.message());
            screen.notice(&format!("the registry at {addresses} is away, trying until it is back: {why}"));
        }
        tokio::time::sleep(RETRY).await;
        Ok(())
    }

    /// Something was heard.
    pub(super) fn end(&mut self) {
        self.said = false;
    }
}
