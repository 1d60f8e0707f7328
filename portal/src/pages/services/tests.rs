//! Tests of the page of all services.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    mesh::Stats,
    registry::{DownReason, Event, EventKind, InstanceState, Load, Protection, SuspectReason, protection::Scope},
};

use super::*;
use crate::traffic::{Look, calls::tests::counted};

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
    let look = Look::test(Instant::now(), vec![]);
    let numbers = Numbers::new(Some(Arc::new(look)), None);
    let history = History { events, ..History::default() };
    Services::new(frame, Seen { census, history, numbers }, &Asked::default(), now)
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

    assert_eq!((page.counts.services, page.counts.live, page.counts.trouble), (2, 3, 0));
    assert_eq!((page.live.len(), page.down.len()), (3, 1));
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

#[test]
fn what_is_asked_for_is_shown_and_what_there_is_is_counted_all_the_same() {
    let mut lame = instance("portal", InstanceState::Ready);
    lame.missing_services = vec!["productsvc".into()];
    let down = instance("productsvc", InstanceState::Down);
    let instances = vec![instance("logsvc", InstanceState::Ready), lame, down];
    let asking = |state: &str, service: &str| {
        let asked = Asked { state: state.into(), service: service.into(), all: String::new() };
        let census = Census { instances: instances.clone(), ..Census::default() };
        let frame = Frame::new(&Visit::test("test"), Nav::Services, "Services");
        Services::new(frame, Seen { census, ..Seen::default() }, &asked, Moment::now())
    };
    let names = |page: &Services| page.live.iter().chain(&page.down).map(|row| row.service.clone()).collect::<Vec<_>>();

    assert_eq!(names(&asking("trouble", "")), ["portal"]);
    assert_eq!(names(&asking("", "productsvc")), ["productsvc"]);
    assert_eq!(names(&asking("down", "portal")), [""; 0]);
    assert_eq!(names(&asking("nonsense", "")).len(), 3);
    let nothing = asking("ready", "<b>");
    assert_eq!((nothing.counts.live, nothing.counts.trouble), (2, 1));
    let html = nothing.render().unwrap();
    assert!(html.contains("No instance is like that."), "{html}");
    assert!(html.contains("<option value=\"ready\" selected>Ready (1)</option>"), "{html}");
    assert!(html.contains("<option value=\"&#60;b&#62;\" selected>&#60;b&#62; (0)</option>"), "{html}");
}

#[test]
fn who_calls_whom_is_drawn_and_written_and_hostile_names_are_text() {
    const HOSTILE: &str = "</text><script>alert(1)</script>\"onfocus=x";
    let calls = |method: &str, peer: &str| counted(method, peer, &[("OK", 97), ("UNAVAILABLE", 3)], 20);
    let outbound = vec![calls("a.B/C", "productsvc"), calls("a.B/C", HOSTILE)];
    let start_time = at(1_000);
    let stats = Stats { service: "portal".into(), outbound, start_time, time: at(1_010), ..Stats::default() };
    let mut look = Look::test(Instant::now(), vec![stats]);
    look.silent = vec![(HOSTILE.into(), HOSTILE.into())];
    let numbers = Numbers::new(Some(Arc::new(look)), None);
    let instances = vec![instance("portal", InstanceState::Ready), instance("productsvc", InstanceState::Ready)];
    let census = Census { instances, ..Census::default() };
    let frame = Frame::new(&Visit::test("test"), Nav::Services, "Services");
    let seen = Seen { census, numbers, ..Seen::default() };

    let html = Services::new(frame, seen, &Asked::default(), Moment::now()).render().unwrap();

    for words in [
        "<title>portal calls productsvc: 10.0/s · p99 20 ms, 3.0 % failed</title>",
        "<a href=\"/services/productsvc\"><g class=\"box good\">",
        "3 UNAVAILABLE",
        "Counted since they started",
        "which did not answer within a second",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    assert!(!html.contains("<script") && !html.contains("\"onfocus") && !html.contains("style="), "{html}");
}
