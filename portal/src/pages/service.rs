//! A service's own page: its instances, what it does for whom and how well, what it is made of, what happened to it.

use askama::Template;
use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use futures_util::future::{join_all, try_join, try_join3};
use http::StatusCode;
use proto::{
    mesh::GetGraphResponse,
    registry::{DiscoverResponse, Instance, InstanceState},
};

use crate::{
    audience::Audience,
    backends::{
        Backends,
        registry::{Census, DISCOVER, History, LIST_EVENTS, LIST_WATCHERS, discovery_of, events_of, watchers_of},
    },
    condition::Standing,
    error::{Backend, Failure},
    event,
    frame::{Frame, Nav},
    inside::Inside,
    instance::{self, Row},
    list::{self, Wanted},
    note::Notes,
    pages,
    query::{instance_link, link, service_link},
    time::Moment,
    traffic::{Edge, Numbers, Served, Traffic},
    visit::Visit,
};

/// How many of those that are DOWN are shown, the latest first.
const DOWN_SHOWN: usize = 10;

/// How many events are shown; the page of events has all.
const EVENTS_SHOWN: usize = 15;

/// How many instances are asked what they are made of, until one answers.
const ASKED: usize = 3;

#[derive(Template)]
#[template(path = "service.html")]
struct Page {
    frame: Frame,
    now: Moment,
    notes: Notes,
    service: String,
    /// Where this page is.
    own: String,
    /// How it stands as a whole: words and tone.
    state: (String, &'static str),
    live: Vec<Row>,
    down: Vec<Row>,
    down_total: usize,
    calls: Calls,
    inside: Option<Made>,
    audience: Audience,
    events: Vec<event::Row>,
    /// Where all events are, when there are more.
    more_events: Option<String>,
}

/// The calls that it took and made.
struct Calls {
    until: Option<Moment>,
    over: String,
    /// Its instances that did not answer: name and page.
    silent: Vec<(String, String)>,
    served: Vec<Served>,
    /// Services that it called, and their pages.
    called: Vec<(Edge, String)>,
}

/// What it is made of, as one of its instances said.
struct Made {
    by: String,
    page: String,
    inside: Inside,
}

/// What was asked for the page.
#[derive(Default)]
struct Seen {
    census: Census,
    history: History,
    audience: crate::backends::registry::Audience,
    numbers: Numbers,
    graph: Option<GetGraphResponse>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    State(traffic): State<Traffic>,
    visit: Visit,
    wanted: Wanted,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(service) = name.map_err(|_| Failure::NoSuchService)?;
    if wanted != Wanted::Page {
        return list(&backends, wanted.named(&service), wanted).await;
    }
    // Who says what the service is made of is known as soon as its instances are.
    let census = async {
        let census = backends.census_of(&service).await?;
        let graph = first_graph(&backends, &census.instances).await;
        Ok((census, graph))
    };
    let numbers = async { Ok(traffic.numbers().await) };
    let history = backends.history(&service, "", String::new());
    let registry = try_join(history, backends.audience(&service));
    let ((census, graph), (history, audience), numbers) =
        try_join3(census, registry, numbers).await.map_err(unknown)?;
    if census.instances.is_empty() && history.events.is_empty() {
        return Err(Failure::NoSuchService);
    }
    let speaker = census.instances.iter().find(|instance| {
        graph.as_ref().map_or(!instance::is_down(instance), |graph| graph.instance_id == instance.instance_id)
    });
    let frame = Frame::behind(&visit, Nav::Services, service.clone())
        .with_command(backends.command(Backend::Registry, DISCOVER, &discovery_of(&service)))
        .with_command(speaker.and_then(|it| backends.stats_command(it)))
        .with_command(speaker.and_then(|it| backends.graph_command(it)))
        .with_command(backends.command(Backend::Registry, LIST_WATCHERS, &watchers_of(&service)))
        .with_command(backends.command(Backend::Registry, LIST_EVENTS, &events_of(&service, "", String::new())));
    let seen = Seen { census, history, audience, numbers, graph };
    Ok(pages::page(StatusCode::OK, &Page::new(frame, service, seen, Moment::now())))
}

/// The instances of it, as a list.
async fn list(backends: &Backends, service: &str, wanted: Wanted) -> Result<Response, Failure> {
    let Census { instances, warming, .. } = backends.census_of(service).await.map_err(unknown)?;
    if instances.is_empty() {
        return Err(Failure::NoSuchService);
    }
    let answer = DiscoverResponse { instances, warming, ..Default::default() };
    wanted.answer(list::INSTANCES, &answer, None).ok_or(Failure::NoSuchPage)
}

/// All that an address says here is a service's name; what the registry does not take for one is none.
pub(super) fn unknown(failure: Failure) -> Failure {
    match failure {
        Failure::NoSuchInstance => Failure::NoSuchService,
        other => other,
    }
}

/// What the first instance that answers is made of: those that are ready first.
async fn first_graph(backends: &Backends, instances: &[Instance]) -> Option<GetGraphResponse> {
    let mut asked: Vec<&Instance> = instances.iter().filter(|instance| !instance::is_down(instance)).collect();
    asked.sort_by_key(|instance| (Standing::of(instance), instance.state() != InstanceState::Ready));
    asked.truncate(ASKED);
    // All at once, so that one that hangs costs its own time and not that of the next too.
    let mut graphs = Vec::new();
    for instance in asked {
        graphs.push(backends.graph(instance));
    }
    join_all(graphs).await.into_iter().flatten().next()
}

impl Page {
    fn new(frame: Frame, service: String, seen: Seen, now: Moment) -> Page {
        let Seen { census, history, audience, numbers, graph } = seen;
        let notes = Notes::on(&census, now);
        let state = state(&census.instances);
        let calls = Calls::new(&service, &numbers);
        let (live, mut down) = instance::rows(census.instances, now);
        let down_total = down.len();
        down.truncate(DOWN_SHOWN);
        let has_more = !history.older.is_empty() || history.events.len() > EVENTS_SHOWN;
        Page {
            frame,
            now,
            notes,
            own: service_link(&service),
            state,
            live,
            down,
            down_total,
            calls,
            inside: graph.map(Made::from),
            audience: Audience::from(audience),
            events: history.events.into_iter().take(EVENTS_SHOWN).map(event::Row::from).collect(),
            more_events: has_more.then(|| link("/events", &[("service", &service)])),
            service,
        }
    }
}

/// How many instances are ready, and how that looks.
fn state(instances: &[Instance]) -> (String, &'static str) {
    let live = instances.iter().filter(|instance| !instance::is_down(instance)).count();
    let count = |wanted| instances.iter().filter(|instance| Standing::of(instance) == wanted).count();
    match (live, count(Standing::Ready), count(Standing::Trouble)) {
        (0, ..) => ("No instance is alive".into(), "bad"),
        (1, 1, _) => ("1 instance, ready".into(), "good"),
        (_, ready, _) if ready == live => (format!("{live} instances, all ready"), "good"),
        (_, 0, 1..) => (format!("None of {live} is ready"), "bad"),
        (_, ready, _) => (format!("{ready} of {live} ready"), "fair"),
    }
}

impl Calls {
    fn new(service: &str, numbers: &Numbers) -> Calls {
        let silent = numbers.silent().iter().filter(|(of, _)| of == service);
        let called = numbers.edges().into_iter().filter(|edge| edge.caller == service && edge.called != service);
        let mut called: Vec<_> =
            called.map(|edge| (service_link(&edge.called), edge)).map(|(page, edge)| (edge, page)).collect();
        called.sort_by_key(|(edge, _)| edge.is_housekeeping);
        Calls {
            until: numbers.until(),
            over: numbers.over(),
            silent: silent.map(|(of, id)| (format!("{of}/{id}"), instance_link(of, id))).collect(),
            served: numbers.served(service),
            called,
        }
    }
}

impl From<GetGraphResponse> for Made {
    fn from(graph: GetGraphResponse) -> Made {
        Made {
            by: format!("{}/{}", graph.service, graph.instance_id),
            page: instance_link(&graph.service, &graph.instance_id),
            inside: Inside::from(graph),
        }
    }
}

#[cfg(test)]
mod tests;
