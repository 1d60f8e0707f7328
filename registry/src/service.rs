//! The gRPC surface: translation between messages and the table, nothing else.

use proto::registry::registry_service_server::RegistryService as Contract;
use proto::registry::{
    DeregisterRequest, DeregisterResponse, DiscoverRequest, DiscoverResponse, DownReason, HeartbeatRequest,
    HeartbeatResponse, Instance, InstanceState, RegisterRequest, RegisterResponse, WatchRequest, WatchResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::error::Error;
use crate::heartbeats;
use crate::instances::Now;
use crate::pieces;
use crate::requests::{self, Key};
use crate::shared::{Shared, say_down, say_up};
use crate::watchers::Watcher;

/// Messages on their way to one stream; a reader that is slower waits in its own cursor.
const STREAM_BUFFER: usize = 16;

/// The name that binds page tokens of Discover.
const DISCOVER: &str = "Discover";

/// Answers for the registry.
#[derive(Debug)]
pub(crate) struct RegistryService {
    shared: Shared,
    stopping: CancellationToken,
}

impl RegistryService {
    pub(crate) fn new(shared: Shared, stopping: CancellationToken) -> Self {
        Self { shared, stopping }
    }
}

#[tonic::async_trait]
impl Contract for RegistryService {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let (key, registration) = requests::registration(request.into_inner())?;
        let (before, granted) = self.shared.with(|instances| {
            let before = instances.changes().revision();
            let granted = instances.register(key.clone(), registration.clone(), Now::read());
            (before, granted)
        });
        let granted = granted?;
        if granted.revision > before {
            say_up(&key, &registration.address(), granted.incarnation);
        }
        Ok(Response::new(RegisterResponse {
            incarnation: granted.incarnation,
            epoch: self.shared.epoch().to_owned(),
            revision: granted.revision,
            time_to_live: prost_types::Duration::try_from(granted.lease).ok(),
            heartbeat_period: prost_types::Duration::try_from(granted.lease / 3).ok(),
        }))
    }

    type HeartbeatStream = ReceiverStream<Result<HeartbeatResponse, Status>>;

    async fn heartbeat(
        &self,
        request: Request<Streaming<HeartbeatRequest>>,
    ) -> Result<Response<Self::HeartbeatStream>, Status> {
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        let answering = heartbeats::answer(self.shared.clone(), request.into_inner(), sender, self.stopping.clone());
        mesh::spawn("heartbeat", answering);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn deregister(&self, request: Request<DeregisterRequest>) -> Result<Response<DeregisterResponse>, Status> {
        let (key, incarnation) = requests::deregistration(request.into_inner())?;
        let (before, revision) = self.shared.with(|instances| {
            let before = instances.changes().revision();
            (before, instances.deregister(&key, incarnation, Now::read()))
        });
        let revision = revision?;
        if revision > before {
            say_down(&Instance {
                service: key.service,
                instance_id: key.instance,
                incarnation,
                down_reason: DownReason::Deregistered.into(),
                ..Default::default()
            });
        }
        // No watcher of this version acknowledges, so there is none to wait for.
        Ok(Response::new(DeregisterResponse { revision, safe_to_exit: true }))
    }

    async fn discover(&self, request: Request<DiscoverRequest>) -> Result<Response<DiscoverResponse>, Status> {
        let request = request.into_inner();
        let service = requests::discovered(request.service)?;
        let size = requests::page_size(request.page_size)?;
        let include_down = request.include_down.to_string();
        let arguments = [service.as_deref().unwrap_or_default(), include_down.as_str()];
        let after = page_start(&request.page_token, &arguments)?;

        let mut response = self.shared.with(|instances| {
            let listed = instances.list(after.as_ref()).filter(|(key, instance)| {
                let is_asked = service.as_ref().is_none_or(|service| *service == key.service);
                is_asked && (request.include_down || instance.state() != InstanceState::Down)
            });
            let instances_after = listed.map(|(_, instance)| instance).take(size + 1).collect();
            DiscoverResponse {
                instances: instances_after,
                next_page_token: String::new(),
                epoch: self.shared.epoch().to_owned(),
                revision: instances.changes().revision(),
                service_known: service.as_ref().is_none_or(|service| instances.knows(service)),
                warming: self.shared.is_warming(),
            }
        });
        let fits = pieces::fitting(&response.instances).min(size);
        if response.instances.len() > fits {
            response.instances.truncate(fits);
            if let Some(last) = response.instances.last() {
                response.next_page_token =
                    mesh::page::encode(DISCOVER, &arguments, &[&last.service, &last.instance_id]);
            }
        }
        Ok(Response::new(response))
    }

    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let services = requests::watched(request.services)?;
        let applied = Some(request.revision).filter(|_| request.epoch == self.shared.epoch());
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        let watcher = Watcher { shared: self.shared.clone(), services, applied };
        mesh::spawn("watcher", watcher.run(sender, self.stopping.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// The key after which a page begins.
fn page_start(token: &str, arguments: &[&str]) -> Result<Option<Key>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let key = mesh::page::decode(token, DISCOVER, arguments).map_err(|_| Error::InvalidPageToken)?;
    let [service, instance] = key.try_into().map_err(|_| Error::InvalidPageToken)?;
    Ok(Some(Key { service, instance }))
}
