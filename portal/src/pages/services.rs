//! Services: who is alive, where, since when, why others are not, and what happened last.

use std::collections::BTreeSet;

use askama::Template;
use axum::{extract::State, response::Response};
use futures_util::future::try_join;
use http::StatusCode;
use proto::registry::{Instance, InstanceState};

use crate::{
    backends::{
        Backends,
        registry::{Census, History},
    },
    condition::{self, Condition},
    error::Failure,
    event,
    frame::{Frame, Nav},
    note::Notes,
    pages,
    query::instance_link,
    time::Moment,
    visit::Visit,
};

/// How many of those that are DOWN are shown, the latest first.
const DOWN_SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "services.html")]
struct Services {
    frame: Frame,
    now: Moment,
    notes: Notes,
    services: usize,
    live: Vec<Row>,
    down: Vec<Row>,
    down_total: usize,
    events: Vec<event::Row>,
    /// Whether more happened than is shown.
    more_events: bool,
}

/// One instance as a row shows it.
#[derive(Debug)]
struct Row {
    service: String,
    instance: String,
    /// Where its page is.
    page: String,
    address: String,
    zone: String,
    version: String,
    condition: Condition,
    since: Option<Moment>,
    since_age: String,
    heartbeat_age: String,
    load: String,
    links: Vec<(String, String)>,
    /// Why it is DOWN.
    reason: String,
}

pub(crate) async fn show(State(backends): State<Backends>, visit: Visit) -> Result<Response, Failure> {
    let (census, history) = try_join(backends.census(), backends.latest_events()).await?;
    let frame = Frame::new(&visit, Nav::Services, "Services");
    Ok(pages::page(StatusCode::OK, &Services::new(frame, census, history, Moment::now())))
}

impl Services {
    fn new(frame: Frame, census: Census, history: History, now: Moment) -> Services {
        let notes = Notes::on(&census, now);
        let (down, live): (Vec<_>, Vec<_>) = census.instances.into_iter().partition(is_down);
        let services: BTreeSet<&str> = live.iter().map(|instance| instance.service.as_str()).collect();
        let services = services.len();
        let row = |instance| Row::new(instance, now);
        let live = live.into_iter().map(row).collect();
        let mut down: Vec<Row> = down.into_iter().map(row).collect();
        down.sort_by_key(|row| std::cmp::Reverse(row.since));
        let down_total = down.len();
        down.truncate(DOWN_SHOWN);
        let more_events = !history.older.is_empty();
        let events = history.events.into_iter().map(event::Row::from).collect();
        Services { frame, now, notes, services, live, down, down_total, events, more_events }
    }
}

fn is_down(instance: &Instance) -> bool {
    instance.state() == InstanceState::Down
}

impl Row {
    fn new(instance: Instance, now: Moment) -> Row {
        let since = Moment::read(instance.state_time);
        let age = |moment: Option<Moment>| moment.map_or_else(|| "unknown".into(), |moment| moment.age(now));
        Row {
            page: instance_link(&instance.service, &instance.instance_id),
            condition: Condition::of(&instance),
            reason: condition::reason(&instance),
            since,
            since_age: age(since),
            heartbeat_age: age(Moment::read(instance.heartbeat_time)),
            load: condition::load(instance.load.as_ref()),
            links: condition::web_links(&instance),
            service: instance.service,
            instance: instance.instance_id,
            address: instance.address,
            zone: instance.zone,
            version: instance.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::registry::{DownReason, Event, EventKind, Load, Protection, SuspectReason, protection::Scope};

    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    fn instance(service: &str, state: InstanceState) -> Instance {
        Instance {
            service: service.into(),
            instance_id: format!("{service}-1"),
            state: state.into(),
            state_time: at(1_000),
            ..Instance::default()
        }
    }

    fn page(census: Census, events: Vec<Event>) -> Services {
        let frame = Frame::new(&Visit::test("test"), Nav::Services, "Services");
        let now = Moment::read(at(1_090)).unwrap();
        Services::new(frame, census, History { events, ..History::default() }, now)
    }

    fn shown(instances: Vec<Instance>) -> Services {
        page(Census { instances, ..Census::default() }, vec![])
    }

    #[test]
    fn services_and_instances_are_counted_apart() {
        let page = shown(vec![
            instance("logsvc", InstanceState::Ready),
            instance("productsvc", InstanceState::Ready),
            instance("productsvc", InstanceState::Draining),
            instance("portal", InstanceState::Down),
        ]);

        assert_eq!((page.services, page.live.len(), page.down.len()), (2, 3, 1));
        assert_eq!(page.live[0].since_age, "1 min ago");
        assert_eq!(page.live[0].heartbeat_age, "unknown");
        assert!(page.render().unwrap().contains("href=\"/services/portal/portal-1\""));
    }

    #[test]
    fn doubt_need_load_and_zone_stand_in_the_row() {
        let mut portal = instance("portal", InstanceState::Ready);
        portal.suspect_reason = SuspectReason::Silent.into();
        portal.missing_services = vec!["productsvc".into()];
        portal.load = Some(Load { in_flight: 2, requests_per_second: 7.0, latency_p99: None });
        portal.zone = "east".into();

        let html = shown(vec![portal]).render().unwrap();

        for words in [
            "<span class=\"state fair\">Suspect</span>",
            "its heartbeat is overdue",
            "needs productsvc, of which none is ready",
            "7.0/s · 2 in flight",
            "zone east",
        ] {
            assert!(html.contains(words), "{words}: {html}");
        }
    }

    #[test]
    fn each_reason_is_said_in_words() {
        let mut lost = instance("productsvc", InstanceState::Down);
        lost.down_reason = DownReason::LeaseExpired.into();
        lost.time_to_live = Some(prost_types::Duration { seconds: 6, nanos: 0 });

        let html = shown(vec![lost]).render().unwrap();

        assert!(html.contains("It was silent for longer than its lease of 6 s."));
    }

    #[test]
    fn what_makes_the_picture_unsure_is_said_above_it() {
        let scope = Some(Scope::Service("productsvc".into()));
        let protection = Protection { scope, begin_time: at(1_080), suspects: 3, instances: 4 };
        let census = Census {
            warming: true,
            cut: true,
            protections: vec![protection],
            age: Duration::from_millis(3200),
            ..Census::default()
        };

        let html = page(census, vec![]).render().unwrap();

        for words in [
            "has just started",
            "these are the first",
            "The leases of productsvc are protected",
            "3</span> of <span class=\"num\">4",
            "10 s ago",
            "3.2 s",
        ] {
            assert!(html.contains(words), "{words}: {html}");
        }
        let sure = page(Census { age: Duration::from_millis(900), ..Census::default() }, vec![]);
        assert!(!sure.render().unwrap().contains("class=\"note"));
    }

    #[test]
    fn what_happened_is_told_with_its_time_and_leads_to_the_instance() {
        let down = Event {
            kind: EventKind::WentDown.into(),
            time: at(1_795_442_709),
            instance: Some(instance("productsvc", InstanceState::Down)),
            message: "productsvc/productsvc-1 DOWN: connection lost".into(),
            ..Event::default()
        };
        let warm = Event { kind: EventKind::Warmed.into(), message: "warm".into(), ..Event::default() };

        let html = page(Census::default(), vec![down, warm]).render().unwrap();

        assert!(html.contains("<caption>What happened</caption>"));
        assert!(html.contains("23 Nov, 14:05:09"));
        assert!(html.contains("<span class=\"state bad\">Down</span>"));
        assert!(html.contains("href=\"/services/productsvc/productsvc-1\""));
        assert!(html.contains("productsvc/productsvc-1 DOWN: connection lost"));
        assert!(html.contains("the registry"));
    }

    #[test]
    fn what_others_registered_is_shown_as_text() {
        const HOSTILE: &str = "<script>alert(1)</script>\"onfocus=x";
        let mut evil = instance("evil", InstanceState::Ready);
        evil.links.insert("http".into(), "javascript:alert(1)".into());
        evil.links.insert(HOSTILE.into(), format!("http://{HOSTILE}"));
        (evil.instance_id, evil.version, evil.zone) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
        evil.missing_services = vec![HOSTILE.into()];
        let down = Instance { state: InstanceState::Down.into(), ..evil.clone() };
        let event = Event { instance: Some(evil.clone()), message: HOSTILE.into(), ..Event::default() };
        let scope = Some(Scope::Zone(HOSTILE.into()));
        let protections = vec![Protection { scope, ..Protection::default() }];
        let census = Census { instances: vec![evil, down], protections, ..Census::default() };

        let html = page(census, vec![event]).render().unwrap();

        assert!(!html.contains("javascript:"));
        assert!(!html.contains("<script") && !html.contains("\"onfocus"), "{html}");
        assert!(html.contains("href=\"/services/evil/%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22onfocus%3Dx\""));
    }
}
