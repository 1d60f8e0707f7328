//! The log service as a command asks it: found through the registry, and refused in sentences.

use std::time::Duration;

use mesh::{Mesh, Refusal};
use proto::logs::log_service_client::LogServiceClient;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::commands::screen::Screen;

/// The generated client, through the mesh.
pub(super) type Stub = LogServiceClient<mesh::Channel>;

/// What a question from memory, or the beginning of a stream, may take; a person notices a longer wait.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);

/// How long the registry and then the log service are looked for.
const REACH: Duration = Duration::from_secs(2);

/// How often they are looked for.
const RETRY: Duration = Duration::from_millis(100);

/// A message carries at least one record, and the largest record is below this.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// How the channel says that nobody is connected, and that it has not even heard of anybody.
const UNREACHED: &str = "no instance of logsvc is connected: ";
const UNHEARD: &str = "the registry has not been reached yet";

/// Asks the log service.
#[derive(Debug)]
pub(super) struct Client {
    stub: Stub,
    registry: String,
}

impl Client {
    pub(super) fn new(mesh: &Mesh, registry: &[String]) -> Self {
        let stub = Stub::new(mesh.channel("logsvc", proto::logs::DESCRIPTORS));
        Self { stub: stub.max_decoding_message_size(LARGEST_MESSAGE), registry: registry.join(", ") }
    }

    /// Asks once, within a deadline from the moment that the log service is reached.
    pub(super) async fn ask<M: Clone, T>(
        &self,
        message: M,
        call: impl AsyncFn(Stub, Request<M>) -> Result<Response<T>, Status>,
    ) -> anyhow::Result<T> {
        let attempt = async || {
            let mut request = Request::new(message.clone());
            request.set_timeout(DEADLINE);
            call(self.stub.clone(), request).await
        };
        let answer = reaching(attempt).await.map_err(|status| self.explained(&status))?;
        Ok(answer.into_inner())
    }

    /// Opens a stream. With a deadline it ends by then; its beginning has one anyway.
    pub(super) async fn open<M: Clone, T>(
        &self,
        deadline: Option<Duration>,
        message: M,
        call: impl AsyncFn(Stub, Request<M>) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Streaming<T>, Status> {
        let attempt = async || {
            let mut request = Request::new(message.clone());
            if let Some(deadline) = deadline {
                request.set_timeout(deadline);
            }
            let opened = tokio::time::timeout(DEADLINE, call(self.stub.clone(), request)).await;
            opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("it does not answer")))
        };
        Ok(reaching(attempt).await?.into_inner())
    }

    /// Why a question was not answered, in a sentence.
    pub(super) fn explained(&self, status: &Status) -> anyhow::Error {
        let (registry, message) = (&self.registry, status.message());
        match message.strip_prefix(UNREACHED) {
            Some(why) if why.starts_with(UNHEARD) => {
                return anyhow::anyhow!(
                    "the log service cannot be found: the registry at {registry} cannot be reached{}",
                    why.trim_start_matches(UNHEARD)
                );
            }
            Some(why) => return anyhow::anyhow!("the log service cannot be reached: {why}"),
            None => {}
        }
        match (status.code(), Refusal::reason(status)) {
            (Code::DeadlineExceeded, _) => anyhow::anyhow!("the log service does not answer in time"),
            (_, Some(reason)) => {
                let fields = Refusal::fields(status);
                let fields: String = fields.iter().map(|(field, fault)| format!("\n  {field} {fault}")).collect();
                anyhow::anyhow!("{message} ({reason}){fields}")
            }
            (_, None) => anyhow::anyhow!("the log service did not answer: {message}"),
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
        let hopeless = [Code::InvalidArgument, Code::Unimplemented, Code::PermissionDenied, Code::Unauthenticated];
        if hopeless.contains(&status.code()) {
            return Err(client.explained(status));
        }
        if !std::mem::replace(&mut self.said, true) {
            let why = status.message();
            screen.notice(&format!("the log service is away, trying until it is back: {why}"));
        }
        tokio::time::sleep(RETRY).await;
        Ok(())
    }

    /// Something was heard.
    pub(super) fn end(&mut self, screen: &Screen) {
        if std::mem::take(&mut self.said) {
            screen.notice("the log service is back");
        }
    }
}
