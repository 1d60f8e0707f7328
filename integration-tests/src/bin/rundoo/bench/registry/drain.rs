//! Instances that leave under load: how soon they are told that it is safe, and whether a call fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use harness::system::{Options, Role, System};
use proto::products::{CreateProductRequest, GetProductRequest, ListProductsRequest};
use proto::registry::{DiscoverRequest, DrainRequest, Instance, InstanceState, UndrainRequest};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report, quantile_ms};

/// Product services; one is always enough.
const PRODUCTS: usize = 3;

/// How often each is stopped and started again.
const ROUNDS: usize = 2;

/// How often one is drained.
const DRAINS: usize = 50;

/// How long a drain waits at most.
const DRAIN_TIMEOUT: prost_types::Duration = prost_types::Duration { seconds: 5, nanos: 0 };

/// Callers, and what they rest between two calls: some thousand calls a second.
const WRITERS: usize = 4;
const READERS: usize = 16;
const REST: Duration = Duration::from_millis(2);

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut system = System::with(Options { products: PRODUCTS, ..Options::default() }).await?;
    let traffic = load(&system).await?;
    let (mut times, mut unsafe_exits) = (Vec::new(), 0);
    let id = products(&system).await?.pop().context("it is there")?.instance_id;
    for _ in 0..DRAINS {
        let began = Instant::now();
        unsafe_exits += usize::from(!drain(&system, &id).await?);
        times.push(began.elapsed());
        system.registry().undrain(UndrainRequest { service: "productsvc".into(), instance_id: id.clone() }).await?;
        until_ready(&system, PRODUCTS).await;
    }
    let mut leaving = Vec::new();
    for number in (0..PRODUCTS).cycle().take(ROUNDS * PRODUCTS) {
        let began = Instant::now();
        system.stop(Role::Products(number)).await?;
        leaving.push(began.elapsed());
        system.launch(Role::Products(number)).await?;
        until_ready(&system, PRODUCTS).await;
    }
    let (mut failed, mut answered) = (0, Vec::new());
    for traffic in traffic {
        let outcome = traffic.end().await;
        if outcome.failed > 0 {
            println!("calls failed: {:?}", outcome.failures);
        }
        failed += outcome.failed;
        answered.push(outcome.rate());
    }
    report.add("drain_safe_to_exit_p50", quantile_ms(&mut times, 0.5), "ms", Goal::Stated);
    report.add("drain_safe_to_exit_p99", quantile_ms(&mut times, 0.99), "ms", Goal::AtMost(300.0));
    report.add("drain_not_safe", unsafe_exits as f64, "drains", Goal::AtMost(0.0));
    report.add("drain_stop_worst", quantile_ms(&mut leaving, 1.0), "ms", Goal::Stated);
    report.add("drain_failed_requests", failed as f64, "requests", Goal::AtMost(0.0));
    for (name, rate) in ["drain_write_rate", "drain_read_rate"].into_iter().zip(answered) {
        report.add(name, rate, "requests/s", Goal::Stated);
    }
    Ok(())
}

/// Writes to the one database, and reads beside them.
async fn load(system: &System) -> anyhow::Result<[Traffic; 2]> {
    let first = system.products().create_product(product(0)).await?.into_inner().product.context("it was created")?.id;
    let (products, next) = (system.products(), AtomicU64::new(1));
    let writes = Traffic::start(WRITERS, REST, move || {
        let (mut products, n) = (products.clone(), next.fetch_add(1, Ordering::Relaxed));
        async move {
            products.create_product(product(n)).await?;
            Ok(())
        }
    });
    let products = system.products();
    let reads = Traffic::start(READERS, REST, move || {
        let mut products = products.clone();
        async move {
            products.get_product(GetProductRequest { id: first, ..Default::default() }).await?;
            products.list_products(ListProductsRequest { page_size: 5, ..Default::default() }).await?;
            Ok(())
        }
    });
    Ok([writes, reads])
}

fn product(n: u64) -> CreateProductRequest {
    CreateProductRequest {
        name: format!("Claw hammer {n}"),
        sku: format!("CH-{n:06}"),
        category: "Tools".into(),
        ..Default::default()
    }
}

/// Drains one; answers whether everybody knows.
async fn drain(system: &System, id: &str) -> anyhow::Result<bool> {
    let request = DrainRequest {
        service: "productsvc".into(),
        instance_id: id.to_owned(),
        drain_timeout: Some(DRAIN_TIMEOUT),
        down: false,
    };
    Ok(system.registry().drain(request).await?.into_inner().safe_to_exit)
}

async fn products(system: &System) -> anyhow::Result<Vec<Instance>> {
    let request = DiscoverRequest { service: "productsvc".into(), ..Default::default() };
    Ok(system.registry().discover(request).await?.into_inner().instances)
}

async fn until_ready(system: &System, wanted: usize) {
    harness::eventually("every product service takes calls", async || {
        let ready = products(system).await?.iter().filter(|one| one.state() == InstanceState::Ready).count();
        anyhow::ensure!(ready == wanted, "{ready} of {wanted} do");
        Ok(())
    })
    .await;
}
