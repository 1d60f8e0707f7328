//! Durable writes: each adds a product or changes one, under a request id of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harness::health;
use harness::load::Traffic;
use harness::system::{Role, System};
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{CreateProductRequest, UpdateProductRequest};

use crate::bench::measure::{Goal, Report};
use crate::bench::products::Database;

/// Clients and how many writes a second they are to reach.
const GOALS: [(usize, f64, f64); 2] = [(8, 2_000.0, 700.0), (64, 5_000.0, 2_500.0)];

pub(super) async fn measure(
    system: &System,
    report: &mut Report,
    database: Database,
    (each, disk_p50): (Duration, f64),
) -> anyhow::Result<()> {
    // A connection of our own: what is measured is the service, not the channel.
    let connection = health::connect(system.address(Role::Products(0))?).await?;
    // Whatever was written here before, these are new.
    let numbers = Arc::new(AtomicU64::new(jiff::Timestamp::now().as_second().unsigned_abs() * 1_000_000));
    for (clients, sqlite, postgres) in GOALS {
        let (connection, numbers) = (connection.clone(), numbers.clone());
        let traffic = Traffic::start(clients, Duration::ZERO, move || {
            let mut client = ProductServiceClient::new(connection.clone());
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            async move {
                let created = client.create_product(draft(number)).await?.into_inner();
                let product = created.product.context("no product")?;
                let change = UpdateProductRequest {
                    id: product.id,
                    name: format!("{} (new)", product.name),
                    category: product.category,
                    sku: product.sku,
                    etag: product.etag,
                    request_id: uuid::Uuid::new_v4().to_string(),
                    ..Default::default()
                };
                client.update_product(change).await?;
                Ok(())
            }
        });
        tokio::time::sleep(each).await;
        let outcome = traffic.end().await;
        let failures = &outcome.failures;
        anyhow::ensure!(outcome.failed == 0, "{} writes failed: {failures:?}", outcome.failed);
        // Each call of the traffic is two writes, one after the other.
        // No more than what the disk of a slow machine lets through.
        let most = if clients == 8 { 0.6 * 8.0 * 1e3 / disk_p50 } else { f64::INFINITY };
        let rate = Goal::AtLeast(database.either(sqlite.min(most).round(), postgres));
        report.add(&database.named(&format!("writes_{clients}_clients")), outcome.rate() * 2.0, "writes/s", rate);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let measure = database.named(&format!("two_writes_{clients}_clients_{name}"));
            report.add(&measure, outcome.quantile(share).as_secs_f64() * 1e3, "ms", Goal::Stated);
        }
    }
    Ok(())
}

fn draft(number: u64) -> CreateProductRequest {
    CreateProductRequest {
        name: format!("#8 x 1-5/8\" Coarse Drywall Screw, {number} lb"),
        category: format!("Fasteners/Drywall Screws/Size {}", number % 40),
        sku: format!("FS-{number}"),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    }
}
