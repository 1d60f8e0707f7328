//! The drain barrier: who leaves is told when everybody knows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harness::eventually;
use harness::load::Traffic;
use harness::system::{Options, Role, System};
use proto::products::{CreateProductRequest, ListProductsRequest};
use proto::registry::{
    DeregisterRequest, DeregisterResponse, DiscoverRequest, DownReason, DrainRequest, Instance, InstanceState,
    ListWatchersRequest, UndrainRequest, WatchRequest,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{delta, only_registry, registration, snapshot};

const SECONDS: fn(i64) -> Option<prost_types::Duration> = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });

/// A watcher that acknowledges when it is told to.
struct Watcher {
    requests: mpsc::Sender<WatchRequest>,
    answers: tonic::Streaming<proto::registry::WatchResponse>,
    epoch: String,
}

impl Watcher {
    async fn begin(system: &System, acknowledges: bool) -> anyhow::Result<Self> {
        let (requests, sent) = mpsc::channel(8);
        requests.send(WatchRequest { services: vec!["tests".into()], acknowledges, ..Default::default() }).await?;
        let mut answers = system.registry().watch(ReceiverStream::new(sent)).await?.into_inner();
        let (_, end) = snapshot(&mut answers).await?;
        let watcher = Self { requests, answers, epoch: end.epoch };
        watcher.acknowledge(end.revision).await?;
        Ok(watcher)
    }

    async fn acknowledge(&self, revision: u64) -> anyhow::Result<()> {
        Ok(self.requests.send(WatchRequest { epoch: self.epoch.clone(), revision, ..Default::default() }).await?)
    }
}

async fn register(system: &System) -> anyhow::Result<DeregisterRequest> {
    let granted = system.registry().register(registration("a")).await?.into_inner();
    Ok(DeregisterRequest {
        service: "tests".into(),
        instance_id: "a".into(),
        incarnation: granted.incarnation,
        drain_timeout: SECONDS(30),
    })
}

fn leave(system: &System, goodbye: DeregisterRequest) -> JoinHandle<Result<DeregisterResponse, Status>> {
    let mut registry = system.registry();
    mesh::spawn("goodbye", async move { registry.deregister(goodbye).await.map(tonic::Response::into_inner) })
}

async fn get(system: &System, service: &str) -> anyhow::Result<Vec<Instance>> {
    let request = DiscoverRequest { service: service.into(), include_down: true, ..Default::default() };
    Ok(system.registry().discover(request).await?.into_inner().instances)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_is_answered_when_every_watcher_has_said_that_it_knows() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let goodbye = register(&system).await?;
    let (mut first, mut second) = (Watcher::begin(&system, true).await?, Watcher::begin(&system, true).await?);
    let _a_person = Watcher::begin(&system, false).await?;

    let leaving = leave(&system, goodbye);
    let (revision, changed) = delta(&mut first.answers).await?;
    assert_eq!(changed, [("a".to_owned(), InstanceState::Draining)]);
    delta(&mut second.answers).await?;
    first.acknowledge(revision).await?;
    eventually("the first is up to date, the second is not", async || {
        let watchers = system.registry().list_watchers(ListWatchersRequest::default()).await?.into_inner().watchers;
        let reached = watchers.iter().filter(|watcher| watcher.applied_revision >= revision).count();
        anyhow::ensure!(reached == 1, "{watchers:?}");
        Ok(())
    })
    .await;
    assert!(!leaving.is_finished(), "the second has not said that it knows");
    second.acknowledge(revision).await?;

    let answer = leaving.await??;
    assert!(answer.safe_to_exit && answer.laggards.is_empty());
    assert_eq!(answer.revision, revision);
    let instance = get(&system, "tests").await?.pop().context("it is remembered")?;
    assert_eq!(instance.down_reason(), DownReason::Deregistered);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn laggards_are_named_at_the_deadline_and_who_left_is_not_waited_for() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let goodbye = register(&system).await?;
    let laggard = Watcher::begin(&system, true).await?;

    let short =
        DeregisterRequest { drain_timeout: Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 }), ..goodbye };
    let answer = system.registry().deregister(short).await?.into_inner();
    assert!(!answer.safe_to_exit);
    assert_eq!(answer.laggards.len(), 1);
    assert!(answer.laggards[0].caller.starts_with("client/"), "{answer:?}");

    // One that closes its side may go on reading: like a person, it is not waited for.
    let goodbye = register(&system).await?;
    drop(laggard.requests);
    let leaving = leave(&system, goodbye);
    assert!(leaving.await??.safe_to_exit);

    let gone = Watcher::begin(&system, true).await?;
    let goodbye = register(&system).await?;
    let leaving = leave(&system, goodbye);
    drop(gone);
    assert!(leaving.await??.safe_to_exit, "whoever is gone needs not know");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_does_not_outlive_the_registry() -> anyhow::Result<()> {
    let mut system = only_registry().await?;
    let goodbye = register(&system).await?;
    let mut watcher = Watcher::begin(&system, true).await?;
    let leaving = leave(&system, goodbye);
    delta(&mut watcher.answers).await?;

    system.stop(Role::Registry).await?;

    let refused = leaving.await?.expect_err("nobody can say that it is safe");
    assert_eq!(refused.code(), Code::Unavailable);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_stops_although_a_caller_hangs_and_says_which() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.process(Role::Portal)?.freeze().await?;

    let said = system.stop(Role::Products(0)).await?;

    system.process(Role::Portal)?.signal(rustix::process::Signal::CONT)?;
    assert!(said.contains("may not know that it stops: portal/"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_drained_and_undrained_in_turn_under_load_and_no_call_fails() -> anyhow::Result<()> {
    let system = System::with(Options { products: 3, ..Options::default() }).await?;
    let (products, next) = (system.products(), AtomicU64::new(0));
    let traffic = Traffic::start(8, Duration::from_millis(2), move || {
        let mut products = products.clone();
        let sku = format!("SKU-{}", next.fetch_add(1, Ordering::Relaxed));
        async move {
            let name = "Claw hammer".to_owned();
            products
                .create_product(CreateProductRequest { name, sku, category: "Tools".into(), ..Default::default() })
                .await?;
            products.list_products(ListProductsRequest { page_size: 5, ..Default::default() }).await?;
            Ok(())
        }
    });

    for instance in get(&system, "productsvc").await? {
        let (service, instance_id) = (instance.service, instance.instance_id);
        let drain = DrainRequest {
            service: service.clone(),
            instance_id: instance_id.clone(),
            drain_timeout: SECONDS(30),
            down: false,
        };
        let drained = system.registry().drain(drain).await?.into_inner();
        assert!(drained.safe_to_exit, "{drained:?}");
        let instance = drained.instance.context("it is there")?;
        assert!(instance.drained && instance.state() == InstanceState::Draining);
        let before = traffic.answered();
        eventually("others answer", async || {
            anyhow::ensure!(traffic.answered() > before + 50, "{}", traffic.answered());
            Ok(())
        })
        .await;
        eventually("nobody calls it any more", async || {
            let listed = get(&system, "productsvc").await?;
            let load = listed.iter().find(|other| other.instance_id == instance_id).and_then(|other| other.load);
            anyhow::ensure!(load.is_some_and(|load| load.requests_per_second == 0.0), "{load:?}");
            Ok(())
        })
        .await;
        system.registry().undrain(UndrainRequest { service, instance_id: instance_id.clone() }).await?;
        eventually("it is ready again", async || {
            let listed = get(&system, "productsvc").await?;
            let state = listed.iter().find(|other| other.instance_id == instance_id).map(Instance::state);
            anyhow::ensure!(state == Some(InstanceState::Ready), "{state:?}");
            Ok(())
        })
        .await;
    }

    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_process_stays_drained_when_the_registry_is_started_again() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let id = get(&system, "productsvc").await?.pop().context("it is there")?.instance_id;
    let drain = DrainRequest { service: "productsvc".into(), instance_id: id.clone(), ..Default::default() };
    system.registry().drain(drain).await?;
    eventually("the process knows", async || {
        let said = system.process(Role::Products(0))?.output();
        anyhow::ensure!(said.contains("an operator drained this process"), "{said}");
        Ok(())
    })
    .await;

    system.kill(Role::Registry).await?;
    system.launch(Role::Registry).await?;

    let state = async |system: &System| {
        let listed = get(system, "productsvc").await?;
        listed.first().map(Instance::state).context("it is not back yet")
    };
    let back = eventually("it is back", async || state(&system).await).await;
    assert_eq!(back, InstanceState::Draining);
    system.registry().undrain(UndrainRequest { service: "productsvc".into(), instance_id: id }).await?;
    eventually("it is ready", async || {
        anyhow::ensure!(state(&system).await? == InstanceState::Ready);
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_an_operator_took_down_comes_back_when_it_is_undrained() -> anyhow::Result<()> {
    let system = System::start().await?;
    let id = get(&system, "productsvc").await?.pop().context("it is there")?.instance_id;
    let drain =
        DrainRequest { service: "productsvc".into(), instance_id: id.clone(), down: true, drain_timeout: SECONDS(5) };

    let down = system.registry().drain(drain).await?.into_inner().instance.context("it is remembered")?;
    assert_eq!(down.down_reason(), DownReason::Operator);
    system.registry().undrain(UndrainRequest { service: "productsvc".into(), instance_id: id }).await?;

    system.ready().await;
    Ok(())
}
