//! Services: who is alive, where, since when, why others are not, who calls whom, and what happened last.

mod calls;

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use futures_util::future::try_join3;
use http::StatusCode;
use proto::registry::{DiscoverResponse, Instance};
use serde::Deserialize;

use crate::{
    backends::{
        Backends,
        registry::{Census, DISCOVER, History, LIST_EVENTS, discovery_of, events_of},
    },
    condition::Standing,
    error::{Backend, Failure},
    event,
    frame::{Frame, Nav},
    instance::{self, Row},
    list::{self, Wanted},
    note::Notes,
    pages::{self, services::calls::Calls},
    query::link,
    time::Moment,
    traffic::{Numbers, Traffic},
    visit::Visit,
};

/// How many of those that are DOWN are shown, the latest first.
const DOWN_SHOWN: usize = 50;

/// How many events are shown; the page of events has all.
const EVENTS_SHOWN: usize = 20;

/// What an address asks for. What it does not say, or says wrongly, means all.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    service: String,
    /// Whether what keeps the mesh going is drawn too.
    #[serde(default)]
    all: String,
}

#[derive(Template)]
#[template(path = "services.html")]
struct Services {
    frame: Frame,
    now: Moment,
    notes: Notes,
    counts: Counts,
    filter: Filter,
    calls: Calls,
    live: Vec<Row>,
    down: Vec<Row>,
    down_total: usize,
    events: Vec<event::Row>,
    /// Whether more happened than is shown.
    more_events: bool,
}

/// What was asked for the page.
#[derive(Debug, Default)]
struct Seen {
    census: Census,
    history: History,
    numbers: Numbers,
}

/// How many there are of what, whatever is shown of it.
#[derive(Debug, Default)]
struct Counts {
    /// Services with a live instance.
    services: usize,
    live: usize,
    trouble: usize,
}

/// What is chosen of what can be chosen.
#[derive(Debug)]
struct Filter {
    states: Vec<Choice>,
    services: Vec<Choice>,
    /// Whether anything is left out.
    is_on: bool,
}

/// One entry of a menu.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    value: String,
    words: String,
    chosen: bool,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    State(traffic): State<Traffic>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    if wanted != Wanted::Page {
        let census = backends.census().await?;
        let instances = census.instances.into_iter().filter(|instance| asked.wants(instance)).collect();
        let answer = DiscoverResponse { instances, warming: census.warming, ..Default::default() };
        return wanted.answer(list::INSTANCES, &answer, None).ok_or(Failure::NoSuchPage);
    }
    let numbers = async { Ok(traffic.numbers().await) };
    let (census, history, numbers) = try_join3(backends.census(), backends.latest_events(), numbers).await?;
    let frame = Frame::new(&visit, Nav::Services, "Services")
        .with_command(backends.command(Backend::Registry, DISCOVER, &discovery_of("")))
        .with_command(
            census
                .instances
                .iter()
                .find(|instance| !instance::is_down(instance))
                .and_then(|it| backends.stats_command(it)),
        )
        .with_command(backends.command(Backend::Registry, LIST_EVENTS, &events_of("", "", String::new())));
    let page = Services::new(frame, Seen { census, history, numbers }, &asked, Moment::now());
    Ok(pages::page(StatusCode::OK, &page))
}

impl Services {
    fn new(frame: Frame, seen: Seen, asked: &Asked, now: Moment) -> Services {
        let Seen { mut census, history, numbers } = seen;
        let notes = Notes::on(&census, now);
        let calls = Calls::new(&census.instances, &numbers, !asked.all.is_empty());
        let counts = Counts::of(&census.instances);
        let filter = Filter::new(&census.instances, asked);
        census.instances.retain(|instance| asked.wants(instance));
        let (live, mut down) = instance::rows(census.instances, now);
        let down_total = down.len();
        down.truncate(DOWN_SHOWN);
        let more_events = !history.older.is_empty() || history.events.len() > EVENTS_SHOWN;
        let events = history.events.into_iter().take(EVENTS_SHOWN).map(event::Row::from).collect();
        Services { frame, now, notes, counts, filter, calls, live, down, down_total, events, more_events }
    }

    /// Where only those in trouble are shown.
    fn trouble_link(&self) -> String {
        link("/services", &[("state", Standing::Trouble.key())]) + "#instances"
    }
}

impl Asked {
    fn wants(&self, instance: &Instance) -> bool {
        let of_state = Standing::read(&self.state).is_none_or(|standing| standing == Standing::of(instance));
        of_state && (self.service.is_empty() || self.service == instance.service)
    }
}

impl Counts {
    fn of(instances: &[Instance]) -> Counts {
        let mut services: Vec<&str> = Vec::new();
        let mut counts = Counts::default();
        for instance in instances.iter().filter(|instance| !instance::is_down(instance)) {
            counts.live += 1;
            counts.trouble += usize::from(Standing::of(instance) == Standing::Trouble);
            services.push(&instance.service);
        }
        services.dedup();
        Counts { services: services.len(), ..counts }
    }
}

impl Filter {
    fn new(instances: &[Instance], asked: &Asked) -> Filter {
        let (mut of_state, mut of_service) = (BTreeMap::new(), BTreeMap::new());
        for instance in instances {
            *of_state.entry(Standing::of(instance)).or_insert(0_usize) += 1;
            *of_service.entry(instance.service.as_str()).or_insert(0_usize) += 1;
        }
        let chosen = Standing::read(&asked.state);
        let states = Standing::ALL.map(|standing| Choice {
            value: standing.key().into(),
            words: format!("{} ({})", standing.label(), of_state.get(&standing).copied().unwrap_or_default()),
            chosen: chosen == Some(standing),
        });
        if !asked.service.is_empty() {
            of_service.entry(&asked.service).or_default();
        }
        let services = of_service.into_iter().map(|(service, count)| Choice {
            value: service.to_owned(),
            words: format!("{service} ({count})"),
            chosen: service == asked.service,
        });
        Filter {
            states: states.into(),
            services: services.collect(),
            is_on: chosen.is_some() || !asked.service.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests;
