//! Everything that happened, to all or to the instances of one service, as far back as it is remembered.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use futures_util::future::try_join;
use http::StatusCode;
use proto::registry::ListEventsResponse;
use serde::Deserialize;

use crate::{
    backends::{
        Backends,
        registry::{History, LIST_EVENTS, events_of},
    },
    error::{Backend, Failure},
    event,
    frame::{Frame, Nav},
    list::{self, Wanted},
    pages,
    query::{link, service_link},
    time::Moment,
    visit::Visit,
};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// Empty means all.
    #[serde(default)]
    service: String,
    #[serde(default)]
    page: String,
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    frame: Frame,
    now: Moment,
    /// The service whose events these are; empty when they are everyone's.
    service: String,
    service_page: String,
    /// The services that can be chosen.
    services: BTreeSet<String>,
    events: Vec<event::Row>,
    /// The first page.
    latest: String,
    older: Option<String>,
    is_first: bool,
    /// Whether what happened before the last event here is forgotten.
    forgets: bool,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    let history = backends.history(&asked.service, "", asked.page.clone());
    let (census, history) = try_join(backends.census(), history).await.map_err(pages::service::unknown)?;
    if wanted != Wanted::Page {
        let next = list::next(&history.older, |token| link("/events", &[("service", &asked.service), ("page", token)]));
        let answer =
            ListEventsResponse { events: history.events, next_page_token: history.older, ..Default::default() };
        return wanted.answer(list::EVENTS, &answer, next).ok_or(Failure::NoSuchPage);
    }
    let title = match (asked.service.as_str(), asked.page.is_empty()) {
        ("", true) => "Events".into(),
        ("", false) => "Events, continued".into(),
        (service, true) => format!("Events of {service}"),
        (service, false) => format!("Events of {service}, continued"),
    };
    let request = events_of(&asked.service, "", asked.page.clone());
    let frame = Frame::behind(&visit, Nav::Services, title).with_command(backends.command(
        Backend::Registry,
        LIST_EVENTS,
        &request,
    ));
    let services = census.instances.into_iter().map(|instance| instance.service).collect();
    Ok(pages::page(StatusCode::OK, &Events::new(frame, asked, services, history)))
}

impl Events {
    fn new(frame: Frame, asked: Asked, mut services: BTreeSet<String>, history: History) -> Events {
        if !asked.service.is_empty() {
            services.insert(asked.service.clone());
        }
        let page = |token: &str| link("/events", &[("service", &asked.service), ("page", token)]);
        Events {
            frame,
            now: Moment::now(),
            services,
            latest: page(""),
            older: (!history.older.is_empty()).then(|| page(&history.older)),
            is_first: asked.page.is_empty(),
            forgets: history.forgets && history.older.is_empty(),
            events: history.events.into_iter().map(event::Row::from).collect(),
            service_page: service_link(&asked.service),
            service: asked.service,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::registry::{Event, EventKind, Instance};

    use super::*;

    const HOSTILE: &str = "<script>alert(1)</script>\"onfocus=x";

    fn shown(asked: Asked, history: History) -> String {
        let frame = Frame::new(&Visit::test("test"), Nav::Elsewhere, "Events");
        Events::new(frame, asked, BTreeSet::from(["logsvc".to_owned()]), history).render().unwrap()
    }

    #[test]
    fn pages_keep_to_the_service_that_was_chosen() {
        let history = |older: &str| {
            let event = Event { kind: EventKind::Warmed.into(), message: "warm".into(), ..Event::default() };
            History { events: vec![event], older: older.into(), forgets: true }
        };

        let first = shown(Asked { service: "productsvc".into(), page: String::new() }, history("a+b"));
        let last = shown(Asked { service: "productsvc".into(), page: "a+b".into() }, history(""));

        assert!(first.contains("rel=\"next\" href=\"/events?service=productsvc&#38;page=a%2Bb\""), "{first}");
        assert!(first.contains("<option value=\"productsvc\" selected>productsvc</option>"));
        assert!(first.contains("<option value=\"logsvc\">logsvc</option>") && !first.contains("is forgotten"));
        assert!(last.contains("is forgotten") && last.contains("href=\"/events?service=productsvc\">Latest"), "{last}");
    }

    #[test]
    fn nothing_that_happened_is_said_in_words() {
        assert!(shown(Asked::default(), History::default()).contains("Nothing that happened is remembered."));
    }

    #[test]
    fn what_others_registered_is_shown_as_text() {
        let instance = Some(Instance { service: HOSTILE.into(), instance_id: HOSTILE.into(), ..Instance::default() });
        let event = Event { instance, message: HOSTILE.into(), ..Event::default() };
        let history = History { events: vec![event], older: HOSTILE.into(), forgets: false };

        let html = shown(Asked { service: HOSTILE.into(), page: HOSTILE.into() }, history);

        assert!(!html.contains("<script") && !html.contains("\"onfocus"), "{html}");
    }
}
