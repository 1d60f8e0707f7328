//! What happened: listed, followed, and read by selectors and revisions.

use std::collections::HashMap;

use anyhow::Context as _;
use harness::system::Role;
use mesh::Refusal;
use proto::registry::{
    DeregisterRequest, DiscoverRequest, DownReason, Event, EventKind, InstanceState, ListEventsRequest,
    RegisterRequest, WatchEventsRequest,
};
use tonic::Code;

use super::{only_registry, registration};

fn about(instance_id: &str) -> ListEventsRequest {
    ListEventsRequest { service: "tests".into(), instance_id: instance_id.into(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_an_instance_is_down_and_when_it_was_up_is_remembered() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let incarnation = registry.register(registration("a")).await?.into_inner().incarnation;
    registry.register(registration("b")).await?;
    let goodbye = DeregisterRequest {
        service: "tests".into(),
        instance_id: "a".into(),
        incarnation,
        drain_timeout: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
    };
    registry.deregister(goodbye).await?;

    let events = registry.list_events(about("a")).await?.into_inner().events;

    let kinds: Vec<EventKind> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, [EventKind::WentDown, EventKind::Drained, EventKind::Registered], "the latest first");
    let down = events[0].instance.as_ref().context("it is about an instance")?;
    assert_eq!((down.down_reason(), down.incarnation), (DownReason::Deregistered, incarnation));
    assert_eq!(events[0].state_before(), InstanceState::Draining);
    assert_eq!(events[0].message, "tests/a DOWN: deregistered");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_listed_in_pages_while_more_come() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    for n in 0..25 {
        registry.register(registration(&format!("i{n:02}"))).await?;
    }

    let mut seen = Vec::new();
    let mut request = ListEventsRequest { service: "tests".into(), page_size: 10, ..Default::default() };
    loop {
        let page = registry.list_events(request.clone()).await?.into_inner();
        seen.extend(page.events.into_iter().filter_map(|event| event.instance).map(|instance| instance.instance_id));
        registry.register(registration(&format!("late-{}", seen.len()))).await?;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }

    assert_eq!(seen, (0..25).rev().map(|n| format!("i{n:02}")).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_followed_and_what_was_forgotten_is_counted() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let known = registry.list_events(ListEventsRequest::default()).await?.into_inner();
    let from = |revision| WatchEventsRequest {
        service: "tests".into(),
        epoch: known.epoch.clone(),
        revision,
        ..Default::default()
    };

    let mut live = registry.watch_events(from(known.revision)).await?.into_inner();
    registry.register(registration("a")).await?;
    let first = live.message().await?.context("an event")?;
    assert_eq!((first.missed, first.events[0].message.contains("tests/a UP at")), (0, true), "{first:?}");

    // Twice as many as are remembered: each new start takes the one before it down.
    for boot_nonce in 2..9000 {
        registry.register(RegisterRequest { boot_nonce, ..registration("a") }).await?;
    }
    let mut late = registry.watch_events(from(first.events[0].revision)).await?.into_inner();
    let told = late.message().await?.context("an event")?;
    let first_told = told.events[0].revision;
    assert!(told.missed > 0);
    assert_eq!(first.events[0].revision + told.missed + 1, first_told, "what is missing is counted, not hidden");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_selected_by_what_they_said_of_themselves() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let rack = |name: &str| HashMap::from([("rack".to_owned(), name.to_owned())]);
    for (id, zone, version, rack_name) in [("a", "east", "1", "r1"), ("b", "east", "2", "r2"), ("c", "west", "2", "r2")]
    {
        let state = if id == "c" { InstanceState::Starting } else { InstanceState::Ready };
        let request = RegisterRequest {
            zone: zone.into(),
            version: version.into(),
            metadata: rack(rack_name),
            state: state.into(),
            ..registration(id)
        };
        registry.register(request).await?;
    }

    let asked = DiscoverRequest { service: "tests".into(), ..Default::default() };
    let cases = [
        (DiscoverRequest { zone: "east".into(), ..asked.clone() }, "a b"),
        (DiscoverRequest { version: "2".into(), ..asked.clone() }, "b c"),
        (DiscoverRequest { metadata: rack("r2"), zone: "east".into(), ..asked.clone() }, "b"),
        (DiscoverRequest { states: vec![InstanceState::Starting.into()], ..asked.clone() }, "c"),
        (DiscoverRequest { states: vec![InstanceState::Down.into()], ..asked.clone() }, ""),
        (DiscoverRequest { zone: "north".into(), ..asked }, ""),
    ];
    for (request, expected) in cases {
        let answer = registry.discover(request.clone()).await?.into_inner();
        let ids: Vec<String> = answer.instances.into_iter().map(|instance| instance.instance_id).collect();
        assert_eq!(ids.join(" "), expected, "{request:?}");
        assert!(answer.service_known && answer.age.is_some());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wrote_reads_its_write_or_is_told_why_not() -> anyhow::Result<()> {
    let mut system = only_registry().await?;
    let mut registry = system.registry();
    let granted = registry.register(registration("a")).await?.into_inner();
    let at_least = |revision| DiscoverRequest {
        service: "tests".into(),
        at_least_revision: revision,
        epoch: granted.epoch.clone(),
        ..Default::default()
    };

    let written = registry.discover(at_least(granted.revision)).await?.into_inner();
    assert_eq!(written.instances.len(), 1);

    // A revision that is yet to come is waited for.
    let mut other = system.registry();
    let waiting = mesh::spawn("reader", {
        let request = at_least(written.revision + 1);
        async move { other.discover(request).await.map(|answer| answer.into_inner().instances.len()) }
    });
    registry.register(registration("b")).await?;
    assert_eq!(waiting.await??, 2);

    system.kill(Role::Registry).await?;
    system.launch(Role::Registry).await?;
    let refused = harness::eventually("the registry answers", async || {
        match registry.discover(at_least(granted.revision)).await {
            Err(refused) if refused.code() == Code::FailedPrecondition => Ok(refused),
            other => anyhow::bail!("{other:?}"),
        }
    })
    .await;
    assert_eq!(Refusal::reason(&refused).as_deref(), Some("EPOCH_CHANGED"));
    Ok(())
}
