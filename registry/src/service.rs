//! The gRPC surface: translation between messages and the table, nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mesh::Complaints;
use proto::encoded::Encoded;
use proto::registry::registry_service_server::RegistryService as Contract;
use proto::registry::{Command, MoveOrder};
use proto::registry::{
    DeregisterRequest, DeregisterResponse, DiscoverRequest, DiscoverResponse, DrainRequest, DrainResponse,
    HeartbeatRequest, HeartbeatResponse, ListEventsRequest, ListEventsResponse, ListWatchersRequest,
    ListWatchersResponse, MoveRequest, MoveResponse, RegisterRequest, RegisterResponse, UndrainRequest,
    UndrainResponse, WatchEventsRequest, WatchEventsResponse, WatchRequest, WatchResponse, command,
};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::barrier;
use crate::discover;
use crate::error::Error;
use crate::events::{self, EventWatcher};
use crate::heartbeats::{self, Heartbeats};
use crate::instances::{Instances, Now};
use crate::registration::Key;
use crate::requests;
use crate::shared::Shared;
use crate::speaker::Speaker;
use crate::watchers::{Watcher, Watching};

/// A watch that has not said what it wants after this long never will.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// The names that bind page tokens to their methods.
const LIST_EVENTS: &str = "ListEvents";
const LIST_WATCHERS: &str = "ListWatchers";

/// Messages of an endless answer.
type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers for the registry.
#[derive(Debug)]
pub(crate) struct RegistryService {
    shared: Shared,
    complaints: Complaints,
    stopping: CancellationToken,
}

impl RegistryService {
    pub(crate) fn new(shared: Shared, stopping: CancellationToken) -> Self {
        Self { shared, complaints: Complaints::default(), stopping }
    }

    fn change(&self, work: impl FnOnce(&mut Instances, Now) -> Result<u64, Error>) -> Result<u64, Error> {
        self.shared.with(|instances| work(instances, Now::read()))
    }

    fn instance(&self, key: &Key) -> Option<proto::registry::Instance> {
        self.shared.with(|instances| instances.get(key))
    }
}

#[tonic::async_trait]
impl Contract for RegistryService {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let speaker = Speaker::of(&request, &self.complaints);
        let (key, registration) = requests::registration(request.into_inner())?;
        speaker.check(&key)?;
        let registration = Arc::new(registration);
        let granted = self.shared.with(|instances| instances.register(&key, &registration, Now::read()))?;
        Ok(Response::new(RegisterResponse {
            incarnation: granted.incarnation,
            epoch: self.shared.epoch().to_owned(),
            revision: granted.revision,
            time_to_live: prost_types::Duration::try_from(granted.lease).ok(),
            heartbeat_period: heartbeats::period(granted.lease),
        }))
    }

    type HeartbeatStream = Messages<HeartbeatResponse>;

    async fn heartbeat(
        &self,
        request: Request<Streaming<HeartbeatRequest>>,
    ) -> Result<Response<Self::HeartbeatStream>, Status> {
        let speaker = Speaker::of(&request, &self.complaints);
        let heartbeats = Heartbeats::new(self.shared.clone(), speaker, request.into_inner(), self.stopping.clone());
        Ok(Response::new(Box::pin(heartbeats.answers())))
    }

    async fn deregister(&self, request: Request<DeregisterRequest>) -> Result<Response<DeregisterResponse>, Status> {
        let goodbye = requests::deregistration(request.get_ref())?;
        Speaker::of(&request, &self.complaints).check(&goodbye.key)?;
        let (key, incarnation) = (&goodbye.key, goodbye.incarnation);
        let mut laggards = Vec::new();
        let mut revision = 0;
        if let Some(wait) = goodbye.wait {
            revision = self.change(|instances, now| instances.deregister(key, incarnation, true, now))?;
            laggards = barrier::wait(&self.shared, &key.service, revision, wait, &self.stopping).await?;
        }
        let down = self.change(|instances, now| instances.deregister(key, incarnation, false, now))?;
        let revision = if goodbye.wait.is_some() { revision } else { down };
        Ok(Response::new(DeregisterResponse { revision, safe_to_exit: laggards.is_empty(), laggards }))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        let (key, wait) = requests::drain(request.get_ref())?;
        let revision = self.change(|instances, now| instances.drain(&key, now))?;
        let laggards = barrier::wait(&self.shared, &key.service, revision, wait, &self.stopping).await?;
        if request.get_ref().down {
            // Repeated, it finds the instance down already, which is what was wanted.
            self.change(|instances, now| instances.remove(&key, now))?;
        }
        let (instance, safe_to_exit) = (self.instance(&key), laggards.is_empty());
        Ok(Response::new(DrainResponse { instance, revision, safe_to_exit, laggards }))
    }

    async fn undrain(&self, request: Request<UndrainRequest>) -> Result<Response<UndrainResponse>, Status> {
        let key = requests::key(&request.get_ref().service, &request.get_ref().instance_id)?;
        let revision = self.change(|instances, now| instances.undrain(&key, now))?;
        Ok(Response::new(UndrainResponse { instance: self.instance(&key), revision }))
    }

    async fn discover(&self, request: Request<DiscoverRequest>) -> Result<Response<DiscoverResponse>, Status> {
        Ok(Response::new(discover::answer(&self.shared, request.get_ref()).await?))
    }

    type WatchStream = Messages<Encoded<WatchResponse>>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let caller = mesh::Call::of(&request).caller().to_owned();
        let address = request.remote_addr().map(|address| address.to_string()).unwrap_or_default();
        let mut requests = request.into_inner();
        let first = tokio::time::timeout(FIRST_REQUEST, requests.message()).await;
        let first = first.ok().transpose()?.flatten().ok_or(Error::NoFirstRequest)?;
        let followed = requests::followed(&first)?;
        // A revision of another epoch, or one that is yet to come, is no place to stand.
        let current = self.shared.with(|instances| instances.changes().revision());
        let position = Some(first.revision).filter(|r| first.epoch == self.shared.epoch() && *r <= current);
        let watching = Watching::new(caller, address, followed, first.acknowledges);
        let watcher = Watcher::new(self.shared.clone(), watching, position, requests, self.stopping.clone());
        Ok(Response::new(Box::pin(watcher.messages())))
    }

    async fn list_watchers(
        &self,
        request: Request<ListWatchersRequest>,
    ) -> Result<Response<ListWatchersResponse>, Status> {
        let request = request.into_inner();
        let service = requests::service(request.service)?;
        let size = requests::page_size(request.page_size)?;
        let arguments = [service.as_deref().unwrap_or_default()];
        let after = number_after(&request.page_token, LIST_WATCHERS, &arguments)?.unwrap_or_default();
        let mut watchers = self.shared.watchers().list(service.as_deref(), after, size + 1);
        let mut next_page_token = String::new();
        if watchers.len() > size {
            watchers.truncate(size);
            let last = watchers.last().map(|(id, _)| id.to_string()).unwrap_or_default();
            next_page_token = mesh::page::encode(LIST_WATCHERS, &arguments, &[&last]);
        }
        Ok(Response::new(ListWatchersResponse {
            watchers: watchers.iter().map(|(_, watching)| watching.describe()).collect(),
            next_page_token,
            epoch: self.shared.epoch().to_owned(),
            revision: self.shared.with(|instances| instances.changes().revision()),
        }))
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        let request = request.into_inner();
        let about = requests::about(request.service, request.instance_id)?;
        let size = requests::page_size(request.page_size)?;
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        let (service, instance) = (given(&about.service), given(&about.instance));
        let arguments = [self.shared.epoch(), service.as_str(), instance.as_str()];
        let before = number_after(&request.page_token, LIST_EVENTS, &arguments)?;
        let mut page = events::page(&self.shared, &about, before, size + 1);
        if page.events.len() > size {
            page.events.truncate(size);
            let last = page.events.last().map(|event| event.revision.to_string()).unwrap_or_default();
            page.next_page_token = mesh::page::encode(LIST_EVENTS, &arguments, &[&last]);
        }
        Ok(Response::new(page))
    }

    type WatchEventsStream = Messages<WatchEventsResponse>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let about = requests::about(request.service, request.instance_id)?;
        let position = Some(request.revision).filter(|_| request.epoch == self.shared.epoch());
        let watcher = EventWatcher::new(self.shared.clone(), about, position, self.stopping.clone());
        Ok(Response::new(Box::pin(watcher.messages())))
    }

    async fn r#move(&self, request: Request<MoveRequest>) -> Result<Response<MoveResponse>, Status> {
        let (address, within) = requests::target(request.get_ref())?;
        let order = MoveOrder { address: address.to_string(), within: prost_types::Duration::try_from(within).ok() };
        let command = Command { order: Some(command::Order::Move(order)), ..Default::default() };
        let streams = self.shared.tell_all(&command);
        tracing::warn!("sent {streams} processes to the registry at {address}");
        let (shared, stopping) = (self.shared.clone(), self.stopping.clone());
        mesh::spawn("end of watches", async move {
            tokio::select! {
                () = tokio::time::sleep(within) => shared.end_watches(),
                () = stopping.cancelled() => {}
            }
        });
        Ok(Response::new(MoveResponse { streams: u32::try_from(streams).unwrap_or(u32::MAX) }))
    }
}

/// The number after which a page begins.
fn number_after(token: &str, method: &str, arguments: &[&str]) -> Result<Option<u64>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let key = mesh::page::decode(token, method, arguments).map_err(|_| Error::InvalidPageToken)?;
    let [number] = <[String; 1]>::try_from(key).map_err(|_| Error::InvalidPageToken)?;
    number.parse().map(Some).map_err(|_| Error::InvalidPageToken)
}
