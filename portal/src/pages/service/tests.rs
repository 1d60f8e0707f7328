//! Tests of a service's own page.

use std::{sync::Arc, time::Instant};

use proto::{
    mesh::{Layer, LifecycleStep, Stats},
    registry::{DownReason, Event, EventKind},
};

use super::*;
use crate::traffic::{Look, calls::tests::counted};

const HOSTILE: &str = "<script>alert(1)</script>\"onfocus=x";

fn instance(id: &str, state: InstanceState) -> Instance {
    let service = "productsvc".into();
    Instance { service, instance_id: id.into(), state: state.into(), ..Instance::default() }
}

fn census(instances: Vec<Instance>) -> Census {
    Census { instances, ..Census::default() }
}

fn numbers(stats: Vec<Stats>) -> Numbers {
    Numbers::new(Some(Arc::new(Look::test(Instant::now(), stats))), None)
}

fn shown(service: &str, seen: Seen) -> String {
    let frame = Frame::new(&Visit::test("test"), Nav::Elsewhere, service);
    Page::new(frame, service.into(), seen, Moment::now()).render().unwrap()
}

#[test]
fn a_service_is_shown_with_what_it_does_for_whom_and_what_it_is_made_of() {
    let inbound = vec![
        counted("rundoo.products.v1.ProductService/GetProduct", "portal", &[("OK", 97), ("NOT_FOUND", 3)], 2),
        counted("rundoo.products.v1.ProductService/GetProduct", "client", &[("UNAVAILABLE", 100)], 40),
    ];
    let outbound = vec![counted("rundoo.registry.v1.RegistryService/Register", "registry", &[("OK", 1)], 1)];
    let (service, instance_id) = ("productsvc".to_owned(), "3f2a".to_owned());
    let stats =
        Stats { service: service.clone(), instance_id: instance_id.clone(), inbound, outbound, ..Stats::default() };
    let took = Some(prost_types::Duration { seconds: 0, nanos: 30_000_000 });
    let graph = GetGraphResponse {
        service,
        instance_id,
        needs: vec!["registry".into()],
        offers: vec!["rundoo.products.v1.ProductService".into()],
        inbound: vec![Layer { name: "deadline".into(), provides: "mesh::call::Deadline".into() }],
        steps: vec![LifecycleStep { name: "product store".into(), elapsed: took }],
        ..GetGraphResponse::default()
    };
    let down = Instance { down_reason: DownReason::Operator.into(), ..instance("old", InstanceState::Down) };
    let seen = Seen {
        census: census(vec![instance("3f2a", InstanceState::Ready), down]),
        numbers: numbers(vec![stats]),
        graph: Some(graph),
        ..Seen::default()
    };

    let html = shown("productsvc", seen);

    for words in [
        "<h1>productsvc</h1>",
        "state good\">1 instance, ready</span>",
        "href=\"/services/productsvc/3f2a\"",
        "GetProduct<span",
        "client, portal",
        "failed\">50 %</span>",
        "100 UNAVAILABLE, 3 NOT_FOUND",
        "<a href=\"/services/registry\">registry</a>",
        "mesh::call::Deadline",
        "product store",
        "30.0 ms",
        "A person took it down.",
        "Nobody does right now.",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
}

#[test]
fn who_did_not_answer_is_named_and_the_rest_is_shown() {
    let mut look = Look::test(Instant::now(), vec![]);
    look.silent = vec![("other".into(), "1".into()), ("productsvc".into(), "3f2a".into())];
    let numbers = Numbers::new(Some(Arc::new(look)), None);
    let seen = Seen { census: census(vec![instance("3f2a", InstanceState::Ready)]), numbers, ..Seen::default() };

    let html = shown("productsvc", seen);

    assert!(
        html.contains("The numbers below are without <a class=\"code\" href=\"/services/productsvc/3f2a\">"),
        "{html}"
    );
    assert!(!html.contains("other/1"));
    assert!(html.contains("None of its instances said in time what it is made of."));
}

#[test]
fn a_service_without_a_live_instance_says_so() {
    let seen = Seen { census: census(vec![instance("3f2a", InstanceState::Down)]), ..Seen::default() };

    let html = shown("productsvc", seen);

    assert!(html.contains("state bad\">No instance is alive</span>"), "{html}");
    assert!(html.contains("Recently down") && !html.contains("in time"));
}

#[test]
fn how_a_service_stands_is_how_its_instances_stand() {
    let (ready, starting, lame) = (InstanceState::Ready, InstanceState::Starting, InstanceState::NotReady);
    let words = |states: &[InstanceState]| {
        let instances: Vec<_> = states.iter().map(|state| instance("x", *state)).collect();
        state(&instances)
    };
    assert_eq!(words(&[ready, ready]), ("2 instances, all ready".into(), "good"));
    assert_eq!(words(&[ready, lame]), ("1 of 2 ready".into(), "fair"));
    assert_eq!(words(&[lame, lame]), ("None of 2 is ready".into(), "bad"));
    assert_eq!(words(&[starting]), ("0 of 1 ready".into(), "fair"));
}

#[test]
fn what_others_said_is_shown_as_text() {
    let stats = Stats {
        service: HOSTILE.into(),
        instance_id: HOSTILE.into(),
        inbound: vec![counted(HOSTILE, HOSTILE, &[(HOSTILE, 3)], 2)],
        outbound: vec![counted(HOSTILE, "<script>", &[(HOSTILE, 3)], 2)],
        ..Stats::default()
    };
    let graph = GetGraphResponse {
        service: HOSTILE.into(),
        instance_id: HOSTILE.into(),
        needs: vec![HOSTILE.into()],
        offers: vec![HOSTILE.into()],
        inbound: vec![Layer { name: HOSTILE.into(), provides: HOSTILE.into() }],
        steps: vec![LifecycleStep { name: HOSTILE.into(), elapsed: None }],
        ..GetGraphResponse::default()
    };
    let evil = Instance { service: HOSTILE.into(), ..instance(HOSTILE, InstanceState::Ready) };
    let event = Event { kind: EventKind::Registered.into(), message: HOSTILE.into(), ..Event::default() };
    let history = History { events: vec![event], older: HOSTILE.into(), forgets: false };
    let seen = Seen {
        census: census(vec![evil]),
        history,
        numbers: numbers(vec![stats]),
        graph: Some(graph),
        ..Seen::default()
    };

    let html = shown(HOSTILE, seen);

    assert!(!html.contains("<script") && !html.contains("\"onfocus"), "{html}");
    assert!(html.contains("/events?service=%3Cscript%3E"), "{html}");
}
