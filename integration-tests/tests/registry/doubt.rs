//! Doubt: who hangs, who is held, who is asked; through real processes.

use std::collections::BTreeSet;

use anyhow::Context as _;
use harness::eventually;
use harness::system::{Options, Role, System};
use proto::registry::{
    DiscoverRequest, DownReason, EventKind, HeartbeatRequest, Instance, InstanceState, Lease, ListEventsRequest, Probe,
    RegisterRequest, SuspectReason,
};
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{only_registry, registration};

fn short_leases(products: usize) -> Options {
    Options { products, settings: vec![("REGISTRY_LEASE_SECONDS", "2".into())], ..Options::default() }
}

async fn instances(system: &System, service: &str) -> anyhow::Result<Vec<Instance>> {
    let request = DiscoverRequest { service: service.into(), include_down: true, ..Default::default() };
    Ok(system.registry().discover(request).await?.into_inner().instances)
}

/// The kinds of all events of a service, oldest first.
async fn kinds(system: &System, service: &str) -> anyhow::Result<Vec<EventKind>> {
    let request = ListEventsRequest { service: service.into(), page_size: 1000, ..Default::default() };
    let events = system.registry().list_events(request).await?.into_inner().events;
    Ok(events.iter().rev().map(proto::registry::Event::kind).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_process_is_suspect_then_down_and_comes_back_as_it_was() -> anyhow::Result<()> {
    let mut system = System::with(short_leases(2)).await?;

    system.process(Role::Products(0))?.freeze().await?;
    let gone = eventually("it is DOWN", async || {
        let listed = instances(&system, "productsvc").await?;
        listed.into_iter().find(|instance| instance.state() == InstanceState::Down).context("nobody is")
    })
    .await;
    system.process(Role::Products(0))?.signal(Signal::CONT)?;
    system.ready().await;

    assert_eq!(gone.down_reason(), DownReason::LeaseExpired);
    let kinds = kinds(&system, "productsvc").await?;
    let place = |wanted| kinds.iter().position(|kind| *kind == wanted);
    assert!(
        place(EventKind::Suspected).is_some() && place(EventKind::Suspected) < place(EventKind::WentDown),
        "{kinds:?}"
    );
    let back = instances(&system, "productsvc").await?;
    let back = back.iter().find(|instance| instance.instance_id == gone.instance_id).context("it is back")?;
    assert!(back.incarnation > gone.incarnation);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_too_many_hang_at_once_they_are_held_and_asked_and_that_ends_by_itself() -> anyhow::Result<()> {
    let mut system = System::with(short_leases(4)).await?;

    // At once, or the first is down before the last is in doubt.
    for number in 0..3 {
        system.process(Role::Products(number))?.signal(Signal::STOP)?;
    }
    let protections = eventually("the service is protected", async || {
        let answer = system.registry().discover(DiscoverRequest::default()).await?.into_inner();
        anyhow::ensure!(answer.protected, "it is not");
        Ok(answer.protections)
    })
    .await;
    assert!(
        protections.iter().any(|protection| protection.instances == 4 && protection.suspects >= 3),
        "{protections:?}"
    );
    // Their hosts take connections and nobody answers: that is found out by asking.
    eventually("the three are DOWN", async || {
        let listed = instances(&system, "productsvc").await?;
        let reasons: Vec<DownReason> = listed
            .iter()
            .filter(|instance| instance.state() == InstanceState::Down)
            .map(Instance::down_reason)
            .collect();
        // Whoever is left when two are DOWN is one of two, and no longer protected.
        let asked = reasons.iter().filter(|reason| **reason == DownReason::ProbeFailed).count();
        anyhow::ensure!(reasons.len() == 3 && asked >= 2, "{reasons:?}");
        Ok(())
    })
    .await;

    eventually("protection ended", async || {
        let answer = system.registry().discover(DiscoverRequest::default()).await?.into_inner();
        anyhow::ensure!(!answer.protected, "{:?}", answer.protections);
        Ok(())
    })
    .await;
    let kinds: BTreeSet<EventKind> = kinds(&system, "").await?.into_iter().collect();
    assert!(kinds.contains(&EventKind::ProtectionBegan) && kinds.contains(&EventKind::ProtectionEnded), "{kinds:?}");
    for number in 0..3 {
        system.process(Role::Products(number))?.signal(Signal::CONT)?;
    }
    system.ready().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stream_of_a_process_that_takes_connections_is_suspicion_and_no_more() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let listening = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let registered = RegisterRequest { address: listening.local_addr()?.to_string(), ..registration("a") };
    let incarnation = registry.register(registered).await?.into_inner().incarnation;
    let (beats, sent) = mpsc::channel(1);
    let lease = Lease { service: "tests".into(), instance_id: "a".into(), incarnation, ..Default::default() };
    beats.send(HeartbeatRequest { sequence: 1, leases: vec![lease] }).await?;
    let mut answers = registry.heartbeat(ReceiverStream::new(sent)).await?.into_inner();
    answers.message().await?.context("an answer")?;

    drop((beats, answers));

    eventually("it is suspect", async || {
        let instance = instances(&system, "tests").await?.pop().context("it is there")?;
        anyhow::ensure!(instance.suspect_reason() == SuspectReason::ConnectionLost, "{instance:?}");
        anyhow::ensure!(instance.state() == InstanceState::Ready, "a suspect is listed still");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_it_is_probed_and_goes_down_although_it_is_said_to_live() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let mut registry = system.registry();
    // A stranger that beats for a process which then hangs.
    let period = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let registered = RegisterRequest {
        address: system.address(Role::Products(0))?.to_string(),
        probe: Some(Probe { service: "rundoo.products.v1.ProductService".into(), period }),
        ..registration("a")
    };
    registry.register(registered).await?;
    let state = async |system: &System| instances(system, "tests").await?.pop().context("it is there");
    eventually("it is ready once it answered", async || {
        let instance: Instance = state(&system).await?;
        anyhow::ensure!(instance.state() == InstanceState::Ready, "{instance:?}");
        Ok(())
    })
    .await;

    system.process(Role::Products(0))?.freeze().await?;

    eventually("it is DOWN", async || {
        let instance = state(&system).await?;
        anyhow::ensure!(instance.down_reason() == DownReason::ProbeFailed, "{instance:?}");
        Ok(())
    })
    .await;
    system.process(Role::Products(0))?.signal(Signal::CONT)?;
    let kinds = kinds(&system, "tests").await?;
    assert_eq!(kinds.first(), Some(&EventKind::Registered));
    assert!(kinds.contains(&EventKind::Suspected), "{kinds:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_registry_warms_up_and_takes_nobody_down() -> anyhow::Result<()> {
    let mut system = System::with(short_leases(2)).await?;
    system.kill(Role::Registry).await?;

    system.launch(Role::Registry).await?;
    system.ready().await;
    eventually("it is warm", async || {
        let answer = system.registry().discover(DiscoverRequest::default()).await?.into_inner();
        anyhow::ensure!(!answer.warming, "it is warming up");
        Ok(())
    })
    .await;

    let kinds = kinds(&system, "").await?;
    assert!(kinds.contains(&EventKind::Warmed) && !kinds.contains(&EventKind::WentDown), "{kinds:?}");
    Ok(())
}
