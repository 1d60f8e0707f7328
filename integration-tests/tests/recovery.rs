//! Bad days: any of the four is killed and comes back; nobody else is touched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harness::eventually;
use harness::load::Traffic;
use harness::system::{Options, Role, System};
use proto::products::{CreateProductRequest, GetProductRequest, ListProductsRequest};
use proto::registry::watch_response::Event;
use proto::registry::{DiscoverRequest, DownReason, Instance, InstanceState, WatchRequest};

const ANY: Role = Role::Products(0);

async fn create(system: &System, sku: &str) -> anyhow::Result<i64> {
    let request = CreateProductRequest {
        name: "Claw hammer".into(),
        category: "Tools".into(),
        sku: sku.into(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    Ok(system.products().create_product(request).await?.into_inner().product.context("no product")?.id)
}

async fn down(system: &System, service: &str) -> anyhow::Result<Instance> {
    let request = DiscoverRequest { service: service.into(), include_down: true, ..Default::default() };
    let listed = system.registry().discover(request).await?.into_inner().instances;
    listed.into_iter().find(|instance| instance.state() == InstanceState::Down).context("nobody is DOWN")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_the_four_may_be_killed_and_started_again() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    create(&system, "SKU-0").await?;

    for (n, role) in system.roles().into_iter().enumerate() {
        system.kill(role).await?;
        system.launch(role).await?;

        system.ready().await;
        eventually("a product can be added", async || create(&system, &format!("SKU-{}", n + 1)).await).await;
        eventually("it is on the page", async || {
            let page = system.get("/").await?;
            anyhow::ensure!(page.text.contains(&format!("SKU-{}", n + 1)), "{role:?}: {}", page.status);
            Ok(())
        })
        .await;
        system.check_health().await?;
    }
    let listed = system.products().list_products(ListProductsRequest::default()).await?.into_inner();
    assert_eq!(listed.products.len(), 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_product_service_is_down_with_the_reason_and_the_portal_says_so_in_words() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let mut watch = system
        .registry()
        .watch(tokio_stream::once(WatchRequest { services: vec!["productsvc".into()], ..Default::default() }))
        .await?
        .into_inner();

    system.kill(ANY).await?;

    let reason = loop {
        let message = watch.message().await?.context("the watch ended")?;
        if let Some(Event::Delta(delta)) = message.event {
            break delta.changed[0].down_reason();
        }
    };
    assert_eq!(reason, DownReason::ConnectionLost);
    eventually("the portal says so", async || {
        let page = system.get("/").await?;
        anyhow::ensure!(page.status == 503, "{}", page.status);
        anyhow::ensure!(page.text.contains("catalogue is not answering"), "{}", page.text);
        Ok(())
    })
    .await;
    let services = system.get("/services").await?;
    assert!(services.status.is_success() && services.text.contains("it crashed, was killed"), "{}", services.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_product_services_may_be_killed_under_load_and_no_read_fails() -> anyhow::Result<()> {
    let mut system = System::with(Options { products: 3, ..Options::default() }).await?;
    let id = create(&system, "SKU-1").await?;
    let products = system.products();
    let traffic = Traffic::start(8, Duration::from_millis(1), move || {
        let mut products = products.clone();
        async move {
            products.get_product(GetProductRequest { id, ..Default::default() }).await?;
            Ok(())
        }
    });
    let more = async |count: u64| {
        let before = traffic.answered();
        eventually("reads go on", async || {
            anyhow::ensure!(traffic.answered() > before + count, "{} reads", traffic.answered());
            Ok(())
        })
        .await;
    };

    more(500).await;
    system.kill(Role::Products(1)).await?;
    more(500).await;
    let gone = down(&system, "productsvc").await?;
    system.launch(Role::Products(1)).await?;
    system.ready().await;
    more(500).await;

    assert_eq!(gone.down_reason(), DownReason::ConnectionLost);
    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn product_services_may_be_stopped_in_turn_under_load_and_no_call_fails() -> anyhow::Result<()> {
    let mut system = System::with(Options { products: 3, ..Options::default() }).await?;
    let products = system.products();
    let next = AtomicU64::new(0);
    let traffic = Traffic::start(8, Duration::from_millis(2), move || {
        let mut products = products.clone();
        let sku = format!("SKU-{}", next.fetch_add(1, Ordering::Relaxed));
        async move {
            let request = CreateProductRequest {
                name: "Claw hammer".into(),
                category: "Tools".into(),
                sku,
                ..Default::default()
            };
            products.create_product(request).await?;
            products.list_products(ListProductsRequest { page_size: 5, ..Default::default() }).await?;
            Ok(())
        }
    });

    for n in 0..3 {
        let before = traffic.answered();
        system.stop(Role::Products(n)).await?;
        system.launch(Role::Products(n)).await?;
        system.ready().await;
        eventually("calls go on", async || {
            anyhow::ensure!(traffic.answered() > before + 50, "{}", traffic.answered());
            Ok(())
        })
        .await;
    }

    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_registry_nobody_exits_and_everyone_keeps_the_last_picture() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    create(&system, "SKU-1").await?;

    system.kill(Role::Registry).await?;

    for _ in 0..20 {
        assert!(system.get("/").await?.status.is_success());
    }
    create(&system, "SKU-2").await?;
    system.launch(Role::Registry).await?;
    system.ready().await;
    // While it warmed up, the picture was never empty.
    for _ in 0..20 {
        assert!(system.get("/").await?.status.is_success());
    }
    for role in [Role::Logs, ANY, Role::Portal] {
        assert!(system.process(role)?.ended().is_none(), "{role:?} has exited");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_instance_goes_down_when_its_lease_runs_out_and_comes_back() -> anyhow::Result<()> {
    let mut system =
        System::with(Options { settings: vec![("REGISTRY_LEASE_SECONDS", "1".into())], ..Options::default() }).await?;

    system.process(ANY)?.freeze().await?;
    let gone = eventually("it is DOWN", async || down(&system, "productsvc").await).await;
    system.process(ANY)?.signal(rustix::process::Signal::CONT)?;

    assert_eq!(gone.down_reason(), DownReason::LeaseExpired);
    system.ready().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_was_stopped_for_longer_than_a_lease_takes_nobody_down() -> anyhow::Result<()> {
    let mut system =
        System::with(Options { settings: vec![("REGISTRY_LEASE_SECONDS", "3".into())], ..Options::default() }).await?;

    system.process(Role::Registry)?.freeze().await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    system.process(Role::Registry)?.signal(rustix::process::Signal::CONT)?;
    system.ready().await;
    // Longer than a lease, in which whoever is alive must have been heard.
    tokio::time::sleep(Duration::from_secs(4)).await;

    let request = DiscoverRequest { include_down: true, ..Default::default() };
    let listed = system.registry().discover(request).await?.into_inner().instances;
    let down: Vec<&Instance> = listed.iter().filter(|instance| instance.state() == InstanceState::Down).collect();
    assert!(down.is_empty() && listed.len() == 4, "{down:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_service_says_goodbye_and_nothing_after_it() -> anyhow::Result<()> {
    // Beats every third of a second, so that one falls into each stop.
    let mut system =
        System::with(Options { settings: vec![("REGISTRY_LEASE_SECONDS", "1".into())], ..Options::default() }).await?;

    for _ in 0..5 {
        system.stop(ANY).await?;
        system.launch(ANY).await?;
        system.ready().await;
    }

    let request = DiscoverRequest { service: "productsvc".into(), include_down: true, ..Default::default() };
    let listed = system.registry().discover(request).await?.into_inner().instances;
    let reasons: Vec<DownReason> =
        listed.iter().filter(|instance| instance.state() == InstanceState::Down).map(Instance::down_reason).collect();
    assert_eq!(reasons, [DownReason::Deregistered; 5]);
    Ok(())
}
