//! What the portal asks of the registry: who is there, what happened, who watches.

use std::time::Duration;

use futures_util::future::try_join;
use proto::registry::{
    DiscoverRequest, DiscoverResponse, Event, Instance, ListEventsRequest, ListEventsResponse, ListWatchersRequest,
    Protection, Watcher,
};
use tonic::{Request, Status};

use crate::{
    backends::Backends,
    error::{Backend, Failure},
    grpcurl::Method,
};

pub(crate) const DISCOVER: Method = Method::new("rundoo.registry.v1.RegistryService/Discover");
pub(crate) const LIST_EVENTS: Method = Method::new("rundoo.registry.v1.RegistryService/ListEvents");
pub(crate) const LIST_WATCHERS: Method = Method::new("rundoo.registry.v1.RegistryService/ListWatchers");

/// How long the registry may take for an answer. It has all in memory: one that takes longer
/// hangs, and the visitor should hear of that while still looking.
const DEADLINE: Duration = Duration::from_secs(2);

/// Instances asked for at once, the registry's largest page.
const INSTANCES_PER_CALL: i32 = 1000;

/// Instances after which a page stops asking; a person reads no more either.
const MAX_INSTANCES: usize = 10_000;

/// Events on one page.
const EVENTS_PER_PAGE: i32 = 50;

/// Watchers that are shown.
const WATCHERS_SHOWN: i32 = 20;

/// What the registry knew at one moment.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// In the order of service and instance.
    pub(crate) instances: Vec<Instance>,
    /// Whether the registry has just started, so that instances may be missing.
    pub(crate) warming: bool,
    /// Whether there were more than [`MAX_INSTANCES`].
    pub(crate) cut: bool,
    /// Where lapsed leases are held.
    pub(crate) protections: Vec<Protection>,
    /// How long before it answered the registry had last looked at its leases.
    pub(crate) age: Duration,
}

/// A page of what happened.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The latest first.
    pub(crate) events: Vec<Event>,
    /// The token of the page after it; empty when there is none.
    pub(crate) older: String,
    /// Whether what happened before all pages is forgotten.
    pub(crate) forgets: bool,
}

/// Who watches a service.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// In the order in which they began.
    pub(crate) watchers: Vec<Watcher>,
    /// The last revision that changed anything of the service.
    pub(crate) revision: u64,
    /// Whether there are more than are shown.
    pub(crate) cut: bool,
}

impl Backends {
    /// Everyone the registry knows, also those it remembers as DOWN.
    pub(crate) async fn census(&self) -> Result<Census, Failure> {
        self.census_of("").await
    }

    /// The same of one service; an empty name means all.
    pub(crate) async fn census_of(&self, service: &str) -> Result<Census, Failure> {
        let mut census = Census::default();
        let mut page_token = String::new();
        loop {
            let page = self.instances(service, page_token).await?;
            census.warming = page.warming;
            census.protections = page.protections;
            census.age = census.age.max(page.age.as_ref().and_then(mesh::from_duration).unwrap_or_default());
            census.instances.extend(page.instances);
            if page.next_page_token.is_empty() {
                return Ok(census);
            }
            if census.instances.len() >= MAX_INSTANCES {
                census.cut = true;
                return Ok(census);
            }
            page_token = page.next_page_token;
        }
    }

    /// One instance, also one that is remembered as DOWN; none when it is not listed.
    pub(crate) async fn instance(&self, service: &str, id: &str) -> Result<Option<Instance>, Failure> {
        // Nothing selects a single instance; they come in the order of their ids.
        let mut page_token = String::new();
        loop {
            let page = self.instances(service, page_token).await?;
            let is_past = page.instances.last().is_none_or(|last| last.instance_id.as_str() >= id);
            let found = page.instances.into_iter().find(|instance| instance.instance_id == id);
            if found.is_some() || is_past || page.next_page_token.is_empty() {
                return Ok(found);
            }
            page_token = page.next_page_token;
        }
    }

    /// What happened last, to anyone.
    pub(crate) async fn latest_events(&self) -> Result<History, Failure> {
        self.history("", "", String::new()).await
    }

    /// A page of what happened to an instance, empty names meaning all; an empty token asks for the first.
    pub(crate) async fn history(&self, service: &str, id: &str, page_token: String) -> Result<History, Failure> {
        let page = self.events(events_of(service, id, page_token)).await?;
        Ok(History { events: page.events, older: page.next_page_token, forgets: page.first_revision > 1 })
    }

    /// Who watches a service, and what they should know by now.
    pub(crate) async fn audience(&self, service: &str) -> Result<Audience, Failure> {
        let mut registry = self.registry.clone();
        let watchers = async { registry.list_watchers(asked(watchers_of(service))).await.map_err(unanswered) };
        let latest = ListEventsRequest { page_size: 1, ..events_of(service, "", String::new()) };
        let (watchers, events) = try_join(watchers, self.events(latest)).await?;
        let watchers = watchers.into_inner();
        // Watchers hear late of what is not of their services; and nobody knows yet what came after they were listed.
        let revision = events.events.first().map_or(0, |event| event.revision).min(watchers.revision);
        Ok(Audience { watchers: watchers.watchers, revision, cut: !watchers.next_page_token.is_empty() })
    }

    async fn instances(&self, service: &str, page_token: String) -> Result<DiscoverResponse, Failure> {
        let request = DiscoverRequest { page_token, ..discovery_of(service) };
        let answer = self.registry.clone().discover(asked(request)).await;
        answer.map(tonic::Response::into_inner).map_err(unanswered)
    }

    async fn events(&self, request: ListEventsRequest) -> Result<ListEventsResponse, Failure> {
        let answer = self.registry.clone().list_events(asked(request)).await;
        answer.map(tonic::Response::into_inner).map_err(unanswered)
    }
}

/// Asks for the first page of a service's instances; an empty name means all.
pub(crate) fn discovery_of(service: &str) -> DiscoverRequest {
    DiscoverRequest {
        service: service.to_owned(),
        page_size: INSTANCES_PER_CALL,
        include_down: true,
        ..DiscoverRequest::default()
    }
}

/// Asks for a page of what happened to an instance; empty names mean all.
pub(crate) fn events_of(service: &str, id: &str, page_token: String) -> ListEventsRequest {
    let (service, instance_id) = (service.to_owned(), id.to_owned());
    ListEventsRequest { service, instance_id, page_size: EVENTS_PER_PAGE, page_token }
}

/// Asks for those who watch a service.
pub(crate) fn watchers_of(service: &str) -> ListWatchersRequest {
    ListWatchersRequest { service: service.to_owned(), page_size: WATCHERS_SHOWN, page_token: String::new() }
}

fn asked<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn unanswered(status: Status) -> Failure {
    Failure::of(Backend::Registry, &status)
}
