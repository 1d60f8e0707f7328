//! An instance's own page: what is known of it, who watches its service, and its whole remembered history.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::Response,
};
use futures_util::future::try_join3;
use http::StatusCode;
use proto::registry::{Instance, InstanceState, Watcher};
use serde::Deserialize;

use crate::{
    backends::{
        Backends,
        registry::{Audience, History},
    },
    condition::{self, Condition},
    error::Failure,
    event,
    frame::{Frame, Nav},
    pages,
    query::{instance_link, link},
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
    watchers: Vec<Row>,
    more_watchers: bool,
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

/// One watcher as a row shows it.
struct Row {
    caller: String,
    acknowledges: bool,
    /// Changes that it was not told or has not applied yet.
    behind: u64,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    name: Result<Path<(String, String)>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Path((service, instance)) = name.map_err(|_| Failure::NoSuchInstance)?;
    let Query(Asked { page }) = asked?;
    let frame = |title| Frame::new(&visit, Nav::Elsewhere, title);
    let (frame, portrait, history) = if page.is_empty() {
        let known = backends.instance(&service, &instance);
        let history = backends.history(&service, &instance, page);
        let (known, history, audience) = try_join3(known, history, backends.audience(&service)).await?;
        let portrait = Portrait::new(known, &history, audience).ok_or(Failure::NoSuchInstance)?;
        (frame(format!("{service}/{instance}")), Some(portrait), history)
    } else {
        let history = backends.history(&service, &instance, page).await?;
        (frame(format!("{service}/{instance}, continued")), None, history)
    };
    Ok(pages::page(StatusCode::OK, &Page::new(frame, (service, instance), portrait, history)))
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
            service,
            instance,
            own,
            portrait,
        }
    }
}

impl Portrait {
    /// Of what the registry lists or, when it lists nothing any more, of the last event; of nothing there is none.
    fn new(known: Option<Instance>, history: &History, audience: Audience) -> Option<Portrait> {
        let listed = known.is_some();
        let instance = known.or_else(|| history.events.first()?.instance.clone())?;
        let watchers = audience.watchers.into_iter().map(|watcher| Row::new(watcher, audience.revision));
        Some(Portrait {
            facts: Facts::new(instance, Moment::now()),
            listed,
            watchers: watchers.collect(),
            more_watchers: audience.cut,
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

impl Row {
    fn new(watcher: Watcher, revision: u64) -> Row {
        // One that only reads does not say what it has applied; what it was sent is all that is known.
        let reached = if watcher.acknowledges { watcher.applied_revision } else { watcher.sent_revision };
        Row { caller: watcher.caller, acknowledges: watcher.acknowledges, behind: revision.saturating_sub(reached) }
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
