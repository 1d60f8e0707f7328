//! Tests of an instance's own page.

use proto::registry::{DownReason, Event, EventKind, Probe, Watcher};

use super::*;
use crate::backends::registry::Audience;

const HOSTILE: &str = "<script>alert(1)</script>\"onfocus=x";

fn instance(state: InstanceState) -> Instance {
    Instance {
        service: "productsvc".into(),
        instance_id: "3f2a".into(),
        state: state.into(),
        address: "127.0.0.1:5053".into(),
        incarnation: 7,
        weight: 100,
        time_to_live: Some(prost_types::Duration { seconds: 6, nanos: 0 }),
        ..Instance::default()
    }
}

fn went_down() -> Event {
    let instance = Instance { down_reason: DownReason::ConnectionLost.into(), ..instance(InstanceState::Down) };
    Event {
        kind: EventKind::WentDown.into(),
        instance: Some(instance),
        message: "productsvc/3f2a DOWN: connection lost".into(),
        ..Event::default()
    }
}

fn watcher(caller: &str, acknowledges: bool, applied_revision: u64, sent_revision: u64) -> Watcher {
    Watcher { caller: caller.into(), acknowledges, applied_revision, sent_revision, ..Watcher::default() }
}

fn shown(portrait: Option<Portrait>, history: History) -> String {
    let frame = Frame::new(&Visit::test("test"), Nav::Elsewhere, "productsvc/3f2a");
    Page::new(frame, ("productsvc".into(), "3f2a".into()), portrait, history).render().unwrap()
}

#[test]
fn a_live_instance_is_shown_with_its_facts() {
    let mut live = instance(InstanceState::Ready);
    live.metadata.insert("rack".into(), "r1".into());
    live.required_services = vec!["logsvc".into(), "registry".into()];
    live.zone = "east".into();
    live.probe = Some(Probe { service: String::new(), period: Some(prost_types::Duration { seconds: 5, nanos: 0 }) });

    let portrait = Portrait::new(Some(live), &History::default(), Audience::default());
    let html = shown(portrait, History::default());

    for words in [
        "<span class=\"state good\">Ready</span>",
        "rack = r1",
        "logsvc, registry",
        "<dd>east</dd>",
        "asked for the health of the whole process, every 5 s",
        "127.0.0.1:5053",
        "<dd class=\"num\">6 s</dd>",
        "Nobody does right now.",
        "Nothing that happened to it is remembered.",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    assert!(!html.contains("does not list"));
}

#[test]
fn one_that_is_not_listed_any_more_is_shown_from_its_history() {
    let history = History { events: vec![went_down()], ..History::default() };

    let html = shown(Portrait::new(None, &history, Audience::default()), history);

    assert!(html.contains("does not list this instance any more"), "{html}");
    assert!(html.contains(
        "Its connection broke and its address refused a new one: it crashed, was killed, or ended without a goodbye."
    ));
    assert!(html.contains("productsvc/3f2a DOWN: connection lost"));
}

#[test]
fn of_what_nobody_remembers_there_is_no_page() {
    assert!(Portrait::new(None, &History::default(), Audience::default()).is_none());
}

#[test]
fn watchers_say_whether_they_acknowledge_and_how_far_they_are() {
    let watchers = vec![watcher("portal/1", true, 12, 14), watcher("a/1", true, 9, 12), watcher("b/1", false, 0, 11)];
    let audience = Audience { watchers, revision: 12, cut: true };

    let portrait = Portrait::new(Some(instance(InstanceState::Ready)), &History::default(), audience).unwrap();

    let rows = portrait.audience.watchers.iter().map(|row| (row.caller.as_str(), row.acknowledges, row.behind));
    assert_eq!(rows.collect::<Vec<_>>(), [("portal/1", true, 0), ("a/1", true, 3), ("b/1", false, 1)]);
    let html = shown(Some(portrait), History::default());
    for words in ["Up to date", "3</span> revisions behind", "1</span> revision behind", "only reads", "the first 3"] {
        assert!(html.contains(words), "{words}: {html}");
    }
}

#[test]
fn older_pages_hold_the_history_only_and_lead_back() {
    let events = || vec![went_down()];

    let first = shown(None, History { events: events(), older: "a+b".into(), forgets: true });
    let last = shown(None, History { events: events(), older: String::new(), forgets: true });

    assert!(first.contains("rel=\"next\" href=\"/services/productsvc/3f2a?page=a%2Bb\""), "{first}");
    assert!(!first.contains("is forgotten") && last.contains("What happened before is forgotten."));
    assert!(!last.contains("rel=\"next\"") && last.contains("<a class=\"calm\" href=\"/services/productsvc/3f2a\">"));
}

#[test]
fn what_others_registered_is_shown_as_text() {
    let mut evil = instance(InstanceState::Ready);
    for text in [&mut evil.version, &mut evil.zone, &mut evil.address] {
        *text = HOSTILE.into();
    }
    evil.metadata.insert(HOSTILE.into(), HOSTILE.into());
    evil.links.insert(HOSTILE.into(), format!("http://{HOSTILE}"));
    evil.links.insert("http".into(), "javascript:alert(1)".into());
    evil.required_services = vec![HOSTILE.into()];
    evil.probe = Some(Probe { service: HOSTILE.into(), period: None });
    let event = Event { message: HOSTILE.into(), ..went_down() };
    let history = History { events: vec![event], older: HOSTILE.into(), forgets: false };
    let audience = Audience { watchers: vec![watcher(HOSTILE, true, 0, 0)], ..Audience::default() };

    let portrait = Portrait::new(Some(evil), &history, audience);
    let frame = Frame::new(&Visit::test(HOSTILE), Nav::Elsewhere, HOSTILE);
    let html = Page::new(frame, (HOSTILE.into(), HOSTILE.into()), portrait, history).render().unwrap();

    assert!(!html.contains("<script") && !html.contains("\"onfocus") && !html.contains("javascript:"), "{html}");
    assert!(html.contains("&#60;script&#62;alert(1)&#60;/script&#62;&#34;onfocus=x"));
}
