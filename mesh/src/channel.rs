//! A channel to a service: one that survives instances coming and going.
//!
//! It is what a generated client is built on. Each call goes to a connected
//! instance; when none is connected it fails in words instead of hanging. Request
//! id, trace, caller and what is left of the deadline travel along. A request that
//! was never sent goes to another instance; one that may have been received is
//! repeated only when its method has no side effects.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

mod answer;
mod balancer;
mod connection;
mod endpoints;
mod replay;
mod standing;

use crate::call::{self, Call};
use crate::channel::answer::Answer;
use crate::channel::balancer::{Balancer, Policy};
use crate::channel::connection::{Connection, SendError};
use crate::channel::standing::Standing;
use crate::identity::Identity;
use crate::picture::{Picture, REGISTRY, Rank, Viewer};
use crate::refusal::Refusal;
use crate::task::Tasks;

/// How long a call waits for a connection that may be being opened before it fails in words.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often one call is tried at most, connections that were closed already included (gRFC A6 caps at 5 too).
const ATTEMPTS: usize = 5;

/// A balanced connection to all instances of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: String,
    caller: String,
    balancer: Arc<Balancer>,
    picture: watch::Receiver<Picture>,
    /// Paths of unary methods that may be repeated, having no side effects.
    repeatable: HashSet<String>,
    /// The tasks that keep connections; they end with the last clone.
    tasks: Tasks,
}

impl Channel {
    /// A channel to the instances that the viewer sees, for as long as `painting` keeps the picture current.
    ///
    /// `descriptors` say which methods may be repeated.
    pub(crate) fn following(
        service: &str,
        identity: &Identity,
        descriptors: &[u8],
        (viewer, painting): (Viewer, impl Future<Output = ()> + Send + 'static),
    ) -> Self {
        Self::keeping(service, identity, descriptors, Policy::LessBusy, |tasks, balancer| {
            let picture = viewer.picture.clone();
            tasks.spawn("discovery", painting);
            tasks.spawn("endpoints", endpoints::keep(viewer, balancer.clone()));
            picture
        })
    }

    /// A channel to one of these addresses, HOST:PORT each: the first that is open, and always
    /// that one while it is.
    pub(crate) fn sticky(service: &str, identity: &Identity, descriptors: &[u8], addresses: &[String]) -> Self {
        Self::keeping(service, identity, descriptors, Policy::sticky(addresses), |tasks, balancer| {
            for address in addresses {
                keep_address(tasks, balancer, address.clone());
            }
            // A picture that nobody paints: fixed addresses are never "last heard".
            watch::channel(Picture::default()).1
        })
    }

    /// A channel whose connections are kept by the tasks that `keep` starts.
    fn keeping(
        service: &str,
        identity: &Identity,
        descriptors: &[u8],
        policy: Policy,
        keep: impl FnOnce(&Tasks, &Arc<Balancer>) -> watch::Receiver<Picture>,
    ) -> Self {
        let (tasks, balancer) = (Tasks::new(), Arc::new(Balancer::new(policy)));
        let picture = keep(&tasks, &balancer);
        Self(Arc::new(Shared {
            service: service.to_owned(),
            caller: identity.to_string(),
            balancer,
            picture,
            repeatable: replay::repeatable(descriptors),
            tasks,
        }))
    }

    /// Makes calls go to `address` from now on, once a connection to it is open; waits for `most`.
    pub(crate) async fn go_to(&self, address: &str, most: Duration) -> bool {
        let balancer = &self.0.balancer;
        if tokio::time::timeout(Duration::ZERO, balancer.connected(address)).await.is_err() {
            keep_address(&self.0.tasks, balancer, address.to_owned());
        }
        let open = tokio::time::timeout(most, balancer.connected(address)).await.is_ok();
        if open {
            balancer.prefer(address);
        }
        open
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        if let Some(call) = Call::current() {
            call.write_to(request.headers_mut());
        }
        call::write_caller(request.headers_mut(), &self.0.caller);
        let deadline = call::timeout(request.headers()).and_then(|left| Instant::now().checked_add(left));

        let repeatable = self.0.repeatable.contains(request.uri().path());
        let sent = async {
            match repeatable {
                true => self.send_repeatable(request, deadline).await,
                false => self.send_once(request).await.map(|answer| answer.until(deadline).into_response()),
            }
        };
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, sent).await.unwrap_or_else(|_| Err(self.late())),
            None => sent.await,
        }
    }

    /// Sends a request once; one that a connection did not take goes to another.
    async fn send_once(&self, mut request: Request<Body>) -> Result<Answer, Status> {
        for _ in 0..ATTEMPTS {
            let connection = self.connection().await?;
            match connection.send(request).await {
                Ok(answer) => return Ok(answer),
                Err(SendError::Unsent(unsent)) => {
                    self.0.balancer.remove(&connection);
                    request = *unsent;
                }
                Err(SendError::Lost(cause)) => return Err(self.lost(&connection, &cause)),
            }
        }
        Err(self.nobody("every connection broke before the request was sent"))
    }

    /// Sends a unary request without side effects until an instance answers it whole.
    async fn send_repeatable(
        &self,
        request: Request<Body>,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Status> {
        let replay = replay::Replay::read(request).await?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let connection = self.connection().await?;
            let attempt = async {
                match connection.send(replay.request()).await {
                    Ok(answer) => replay::whole(answer.until(deadline)).await,
                    Err(SendError::Unsent(_)) => {
                        self.0.balancer.remove(&connection);
                        Err(self.lost(&connection, &"it was closed before the request was sent"))
                    }
                    Err(SendError::Lost(cause)) => Err(self.lost(&connection, &cause)),
                }
            };
            // An instance that left the picture may never answer: another one will.
            let whole = tokio::select! {
                whole = attempt => whole,
                () = connection.unlisted() => Err(self.lost(&connection, &"it is not listed any more")),
            };
            match whole {
                Ok(response) => return Ok(response),
                Err(status) if may_be_better_elsewhere(&status) => last = Some(status),
                Err(status) => return Err(status),
            }
        }
        Err(last.unwrap_or_else(|| self.nobody("no attempt was made")))
    }

    async fn connection(&self) -> Result<Arc<Connection>, Status> {
        if let Some(connection) = self.0.balancer.pick() {
            return Ok(connection);
        }
        if self.is_known_empty() {
            return Err(self.nobody(&self.situation()));
        }
        let picked = tokio::time::timeout(PATIENCE, self.0.balancer.picked()).await;
        picked.map_err(|_| self.nobody(&self.situation()))
    }

    /// Whether the registry said that there is nobody, so that waiting is in vain.
    fn is_known_empty(&self) -> bool {
        let picture = self.0.picture.borrow();
        picture.heard.is_some() && picture.is_empty()
    }

    /// What is known about why there is no connection, in words.
    fn situation(&self) -> String {
        let picture = self.0.picture.borrow();
        let trouble = self.0.balancer.trouble().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        let drain = picture.instances.values().filter(|seen| seen.rank == Rank::Resting).count();
        match (picture.heard, picture.instances.len() - drain) {
            (None, _) if self.0.service == REGISTRY => format!("it cannot be reached{trouble}"),
            (None, _) => "the registry has not been reached yet".to_owned(),
            (Some(heard), 0) => {
                let draining = if drain > 0 { format!(" that takes calls ({drain} draining)") } else { String::new() };
                format!("the registry listed none{draining}, {:.1} s ago", heard.elapsed().as_secs_f64())
            }
            (Some(heard), n) => format!(
                "the registry listed {n}, {:.1} s ago, but none can be reached{trouble}",
                heard.elapsed().as_secs_f64()
            ),
        }
    }

    fn nobody(&self, why: &str) -> Status {
        let message = format!("no instance of {} is connected: {why}", self.0.service);
        self.refuse(Code::Unavailable, proto::mesh::ErrorReason::NoInstance, message)
    }

    fn lost(&self, connection: &Connection, cause: &dyn std::fmt::Display) -> Status {
        let message = format!("the connection to {} at {} broke: {cause}", self.0.service, connection.address());
        self.refuse(Code::Unavailable, proto::mesh::ErrorReason::ConnectionLost, message)
    }

    fn late(&self) -> Status {
        let message = format!("{} did not answer before the deadline", self.0.service);
        self.refuse(Code::DeadlineExceeded, proto::mesh::ErrorReason::DeadlineExceeded, message)
    }

    fn refuse(&self, code: Code, reason: proto::mesh::ErrorReason, message: String) -> Status {
        Refusal::new(code, proto::mesh::DOMAIN, reason.as_str_name(), message)
            .metadata("service", self.0.service.as_str())
            .into_status()
    }
}

fn keep_address(tasks: &Tasks, balancer: &Arc<Balancer>, address: String) {
    let standing = Arc::new(Standing::new(Rank::Ready));
    tasks.spawn("endpoint", endpoints::keep_one(address, standing, balancer.clone()));
}

/// Whether another instance may answer what this one did not: its connection broke, or it stops.
///
/// An UNAVAILABLE with a reason of the service's own, such as a database that is
/// away, is the same everywhere.
fn may_be_better_elsewhere(status: &Status) -> bool {
    let reason = Refusal::reason(status);
    status.code() == Code::Unavailable && matches!(reason.as_deref(), None | Some("CONNECTION_LOST" | "STOPPING"))
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    /// Always ready: whether an instance is connected shows when the call is sent.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let channel = self.clone();
        Box::pin(async move { channel.send(request).await })
    }
}
