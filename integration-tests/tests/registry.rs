//! The registry: snapshots, changes, resuming, fencing; found by any client.

mod doubt;
mod drain;
mod history;
mod nodes;
mod refusals;

use std::collections::BTreeSet;

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use mesh::Refusal;
use proto::registry::command::Order;
use proto::registry::watch_response::Event;
use proto::registry::{
    DeregisterRequest, DiscoverRequest, HeartbeatRequest, InstanceState, Lease, RegisterRequest, WatchRequest,
    WatchResponse,
};
use tonic::{Code, Streaming};

fn registration(id: &str) -> RegisterRequest {
    // Nobody listens there; no two instances of a service have the same.
    let port = 1 + id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 1000;
    let octets = id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(37).wrapping_add(u32::from(byte))) % 60_000;
    RegisterRequest {
        service: "tests".into(),
        instance_id: id.into(),
        boot_nonce: 1,
        address: format!("127.1.{}.{}:{port}", octets / 250, 1 + octets % 250),
        // Nobody beats for it.
        time_to_live: harness::lease::longest(),
        ..Default::default()
    }
}

fn lease(id: &str, incarnation: u64) -> Lease {
    Lease { service: "tests".into(), instance_id: id.into(), incarnation, ..Default::default() }
}

async fn only_registry() -> anyhow::Result<System> {
    let mut system = System::prepare(Options::default())?;
    system.launch(Role::Registry).await?;
    system.ready().await;
    Ok(system)
}

/// Reads until the snapshot is whole: its instances and where it stands.
async fn snapshot(watch: &mut Streaming<WatchResponse>) -> anyhow::Result<(BTreeSet<String>, WatchResponse)> {
    let mut instances = BTreeSet::new();
    loop {
        let message = watch.message().await?.context("the watch ended")?;
        match &message.event {
            Some(Event::Snapshot(snapshot)) => {
                instances.extend(snapshot.instances.iter().map(|instance| instance.instance_id.clone()))
            }
            Some(Event::SnapshotEnd(_)) => return Ok((instances, message)),
            _ => {}
        }
    }
}

/// Reads the next change.
async fn delta(watch: &mut Streaming<WatchResponse>) -> anyhow::Result<(u64, Vec<(String, InstanceState)>)> {
    loop {
        let message = watch.message().await?.context("the watch ended")?;
        if let Some(Event::Delta(delta)) = message.event {
            let changed =
                delta.changed.iter().map(|instance| (instance.instance_id.clone(), instance.state())).collect();
            return Ok((message.revision, changed));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_gets_a_snapshot_then_changes_and_resumes_without_loss_or_repetition() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    registry.register(registration("a")).await?;
    let request = WatchRequest { services: vec!["tests".into()], ..Default::default() };

    let mut watch = registry.watch(tokio_stream::once(request.clone())).await?.into_inner();
    let (instances, position) = snapshot(&mut watch).await?;
    assert_eq!(instances, BTreeSet::from(["a".to_owned()]));
    let b = registry.register(registration("b")).await?.into_inner();
    let (revision, changed) = delta(&mut watch).await?;
    assert_eq!(changed, [("b".to_owned(), InstanceState::Ready)]);
    assert!(revision > position.revision && revision == b.revision);
    drop(watch);

    registry
        .deregister(DeregisterRequest {
            service: "tests".into(),
            instance_id: "b".into(),
            incarnation: b.incarnation,
            drain_timeout: None,
        })
        .await?;
    registry.register(registration("c")).await?;
    let resumed = WatchRequest { epoch: position.epoch.clone(), revision, ..request.clone() };
    let mut watch = registry.watch(tokio_stream::once(resumed)).await?.into_inner();
    let first = watch.message().await?.context("a message")?;
    let Some(Event::Delta(missed)) = first.event else { panic!("not a delta: {first:?}") };
    let missed: Vec<_> =
        missed.changed.iter().map(|instance| (instance.instance_id.as_str(), instance.state())).collect();
    assert_eq!(missed, [("b", InstanceState::Down), ("c", InstanceState::Ready)]);

    let foreign = WatchRequest { epoch: "another".into(), revision: 1, ..request };
    let mut watch = registry.watch(tokio_stream::once(foreign)).await?.into_inner();
    let (instances, _) = snapshot(&mut watch).await?;
    assert_eq!(instances, BTreeSet::from(["a".to_owned(), "c".to_owned()]), "another epoch begins with a snapshot");

    let to_come =
        WatchRequest { epoch: position.epoch, revision: u64::MAX, services: vec!["tests".into()], acknowledges: true };
    let mut watch = registry.watch(tokio_stream::once(to_come)).await?.into_inner();
    let (instances, _) = snapshot(&mut watch).await?;
    assert_eq!(instances.len(), 2, "and so does a revision that is yet to come");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_do_not_touch_the_living() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let dead = registry.register(registration("a")).await?.into_inner();
    let same = registry.register(registration("a")).await?.into_inner();
    let living = registry.register(RegisterRequest { boot_nonce: 2, ..registration("a") }).await?.into_inner();
    assert_eq!((dead.incarnation, dead.revision), (same.incarnation, same.revision), "the same again changes nothing");
    assert!(living.incarnation > dead.incarnation);

    let goodbye = DeregisterRequest {
        service: "tests".into(),
        instance_id: "a".into(),
        incarnation: dead.incarnation,
        drain_timeout: None,
    };
    let refused = registry.deregister(goodbye).await.expect_err("it is fenced");
    let beats = vec![HeartbeatRequest {
        sequence: 7,
        leases: vec![lease("a", dead.incarnation), lease("a", living.incarnation)],
    }];
    let mut answers = registry.heartbeat(tokio_stream::iter(beats)).await?.into_inner();
    let answer = answers.message().await?.context("an answer")?;

    assert_eq!(
        (refused.code(), Refusal::reason(&refused).as_deref()),
        (Code::FailedPrecondition, Some("STALE_INCARNATION"))
    );
    assert_eq!(answer.sequence, 7);
    let [command] = answer.commands.as_slice() else { panic!("{answer:?}") };
    assert_eq!((command.instance_id.as_str(), command.incarnation), ("a", dead.incarnation));
    assert!(matches!(command.order, Some(Order::RegisterAgain(_))), "{command:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_listed_in_pages_and_unknown_services_are_told_apart() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    for n in 0..25 {
        registry.register(registration(&format!("i{n:02}"))).await?;
    }

    let mut seen = Vec::new();
    let mut request = DiscoverRequest { service: "tests".into(), page_size: 10, ..Default::default() };
    loop {
        let page = registry.discover(request.clone()).await?.into_inner();
        seen.extend(page.instances.into_iter().map(|instance| instance.instance_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let other = DiscoverRequest { service: "registry".into(), ..request };
    let refused = registry.discover(other).await.expect_err("the token is another query's");
    let unknown =
        registry.discover(DiscoverRequest { service: "nobody".into(), ..Default::default() }).await?.into_inner();

    assert_eq!(seen, (0..25).map(|n| format!("i{n:02}")).collect::<Vec<_>>());
    assert_eq!(Refusal::reason(&refused).as_deref(), Some("INVALID_PAGE_TOKEN"));
    assert!(!unknown.service_known && unknown.instances.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_shows_who_comes_and_goes_and_the_heartbeats() -> anyhow::Result<()> {
    let mut system = System::start().await?;

    system.kill(Role::Products(0)).await?;

    let terminal = harness::eventually("it shows all three", async || {
        let words = system.process(Role::Registry)?.output();
        let shows = |text: &str| words.lines().any(|line| line.contains("productsvc") && line.contains(text));
        anyhow::ensure!(
            shows(" UP at ") && shows("DOWN: connection lost") && shows("heartbeats in the last"),
            "{words}"
        );
        Ok(words)
    })
    .await;
    assert!(!system.app_log().contains("heartbeats in the last"), "heartbeats are for the terminal: {terminal}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_heavy_instances_are_told_in_pieces_that_fit() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let heavy = |n: usize| RegisterRequest {
        metadata: [("facts".to_owned(), "x".repeat(4000))].into(),
        links: (0..8).map(|n| (format!("link{n}"), "y".repeat(200))).collect(),
        ..registration(&format!("heavy-{n:04}"))
    };
    let watching = WatchRequest { services: vec!["tests".into()], ..Default::default() };
    let mut early = registry.watch(tokio_stream::once(watching.clone())).await?.into_inner();
    snapshot(&mut early).await?;
    for n in 0..900 {
        registry.register(heavy(n)).await?;
    }

    let mut late = registry.watch(tokio_stream::once(watching)).await?.into_inner();
    let (instances, _) = snapshot(&mut late).await?;
    let mut told = BTreeSet::new();
    while told.len() < 900 {
        told.extend(delta(&mut early).await?.1.into_iter().map(|(id, _)| id));
    }
    let page = registry
        .discover(DiscoverRequest { service: "tests".into(), page_size: 1000, ..Default::default() })
        .await?
        .into_inner();

    assert_eq!(instances.len(), 900);
    assert_eq!(told, instances);
    assert!(!page.instances.is_empty() && !page.next_page_token.is_empty());
    Ok(())
}
