//! An instance's own page: what is known of it, what it tells of itself, who watches its service, and its
//! whole remembered history.

mod account;

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::Response,
};
use futures_util::future::{join, try_join3};
use http::StatusCode;
use proto::registry::{Instance, InstanceState};
use serde::Deserialize;

use crate::{
    audience::Audience,
    backends::{
        Backends,
        registry::{self, DISCOVER, History, LIST_EVENTS, discovery_of, events_of},
    },
    condition::{self, Condition},
    error::{Backend, Failure},
    event,
    frame::{Frame, Nav},
    instance,
    pages::{self, instance::account::Account},
    query::{instance_link, link, service_link},
    time::{Moment, span},
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
}

#[derive(Template)]
#[template(path = "instance.html")]
struct Page {
    frame: Frame,
    now: Moment,
    service: String,
    instance: String,
    /// Where its service's page is.
    service_page: String,
    /// Where this page is.
    own: String,
    /// What stands on the first page only.
    portrait: Option<Portrait>,
    events: Vec<event::Row>,
    older: Option<String>,
    /// Whether what happened before the last event here is forgotten.
    forgets: bool,
}

/// What is known of the instance now.
struct Portrait {
    facts: Facts,
    /// Whether the registry still lists it; if not, the facts are those of its last event.
    listed: bool,
    /// Whether it should answer when it is asked.
    lives: bool,
    account: Option<Account>,
    audience: Audience,
}

/// An instance in words. What is empty is not known, or there is none.
struct Facts {
    condition: Condition,
    /// Why it is DOWN.
    reason: String,
    since: Option<(Moment, String)>,
    registered: Option<(Moment, String)>,
    heartbeat: Option<(Moment, String)>,
    load: String,
    address: String,
    version: String,
    zone: String,
    weight: u32,
    lease: String,
    incarnation: u64,
    required: Vec<String>,
    probe: String,
    links: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    name: Result<Path<(String, String)>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Path((service, instance)) = name.map_err(|_| Failure::NoSuchInstance)?;
    let Query(Asked { page }) = asked?;
    let frame = |title| Frame::behind(&visit, Nav::Services, title);
    let asked = events_of(&service, &instance, page.clone());
    let events_command = backends.command(Backend::Registry, LIST_EVENTS, &asked);
    let (frame, portrait, history) = if page.is_empty() {
        let known = known(&backends, &service, &instance);
        let history = backends.history(&service, &instance, page);
        let ((known, account), history, audience) = try_join3(known, history, backends.audience(&service)).await?;
        let frame = frame(format!("{service}/{instance}"))
            .with_command(backends.command(Backend::Registry, DISCOVER, &discovery_of(&service)))
            .with_command(known.as_ref().and_then(|it| backends.stats_command(it)))
            .with_command(known.as_ref().and_then(|it| backends.graph_command(it)));
        let portrait = Portrait::new(known, &history, audience).ok_or(Failure::NoSuchInstance)?;
        (frame, Some(Portrait { account, ..portrait }), history)
    } else {
        let history = backends.history(&service, &instance, page).await?;
        (frame(format!("{service}/{instance}, continued")), None, history)
    };
    let frame = frame.with_command(events_command);
    Ok(pages::page(StatusCode::OK, &Page::new(frame, (service, instance), portrait, history)))
}

/// What the registry lists, and what the instance tells of itself when it lives and answers.
async fn known(backends: &Backends, service: &str, id: &str) -> Result<(Option<Instance>, Option<Account>), Failure> {
    let known = backends.instance(service, id).await?;
    let Some(live) = known.as_ref().filter(|known| !instance::is_down(known)) else {
        return Ok((known, None));
    };
    let (stats, graph) = join(backends.counted(live), backends.graph(live)).await;
    Ok((known, Account::of(stats, graph)))
}

impl Page {
    fn new(frame: Frame, (service, instance): (String, String), portrait: Option<Portrait>, history: History) -> Page {
        let own = instance_link(&service, &instance);
        Page {
            frame,
            now: Moment::now(),
            older: (!history.older.is_empty()).then(|| link(&own, &[("page", &history.older)])),
            forgets: history.forgets && history.older.is_empty(),
            events: history.events.into_iter().map(event::Row::from).collect(),
            service_page: service_link(&service),
            service,
            instance,
            own,
            portrait,
        }
    }
}

impl Portrait {
    /// Of what the registry lists or, when it lists nothing any more, of the last event; of nothing there is none.
    fn new(known: Option<Instance>, history: &History, audience: registry::Audience) -> Option<Portrait> {
        let listed = known.is_some();
        let instance = known.or_else(|| history.events.first()?.instance.clone())?;
        Some(Portrait {
            lives: listed && !instance::is_down(&instance),
            facts: Facts::new(instance, Moment::now()),
            listed,
            account: None,
            audience: Audience::from(audience),
        })
    }
}

impl Facts {
    fn new(instance: Instance, now: Moment) -> Facts {
        let dated = |time| Moment::read(time).map(|moment| (moment, moment.age(now)));
        let is_down = instance.state() == InstanceState::Down;
        let mut metadata: Vec<_> = instance.metadata.clone().into_iter().collect();
        metadata.sort();
        Facts {
            condition: Condition::of(&instance),
            reason: if is_down { condition::reason(&instance) } else { String::new() },
            since: dated(instance.state_time),
            registered: dated(instance.register_time),
            heartbeat: dated(instance.heartbeat_time),
            load: if is_down { String::new() } else { condition::load(instance.load.as_ref()) },
            lease: read(instance.time_to_live.as_ref()).map(span).unwrap_or_default(),
            probe: probe(&instance),
            links: condition::web_links(&instance),
            address: instance.address,
            version: instance.version,
            zone: instance.zone,
            weight: instance.weight,
            incarnation: instance.incarnation,
            required: instance.required_services,
            metadata,
        }
    }
}

fn read(span: Option<&prost_types::Duration>) -> Option<Duration> {
    span.and_then(mesh::from_duration)
}

/// How the registry probes an instance; empty when it does not.
fn probe(instance: &Instance) -> String {
    let Some(probe) = &instance.probe else { return String::new() };
    let what = if probe.service.is_empty() { "the whole process" } else { &probe.service };
    let period = read(probe.period.as_ref()).map(|period| format!(", every {}", span(period)));
    format!("asked for the health of {what}{}", period.unwrap_or_default())
}

#[cfg(test)]
mod tests;
