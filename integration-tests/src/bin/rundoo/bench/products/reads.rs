//! Reading products one by one, and page by page.

use std::time::Duration;

use harness::health;
use harness::load::Traffic;
use harness::system::{Role, System};
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{GetProductRequest, ListProductsRequest};

use crate::bench::measure::{Goal, Report};
use crate::bench::products::Database;
use crate::bench::products::import::import;

/// A large store's catalogue.
const PRODUCTS: i64 = 50_000;

/// Readers at the same time: fewer than would fill two cores.
const READERS: usize = 2;

pub(super) async fn measure(
    system: &System,
    report: &mut Report,
    database: Database,
    each: Duration,
) -> anyhow::Result<()> {
    let connection = health::connect(system.address(Role::Products(0))?).await?;
    let job = import(system, PRODUCTS, 0).await?;
    anyhow::ensure!(job.created == PRODUCTS, "{job:?}");

    let client = ProductServiceClient::new(connection.clone());
    let traffic = Traffic::start(READERS, Duration::ZERO, move || {
        let mut client = client.clone();
        let id = fastrand::i64(1..=PRODUCTS);
        async move {
            client.get_product(GetProductRequest { id, ..Default::default() }).await?;
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    let goal = Goal::AtMost(database.either(3.0, 5.0));
    report.add(&database.named("get_product_p99"), outcome.quantile(0.99).as_secs_f64() * 1e3, "ms", goal);

    let client = ProductServiceClient::new(connection);
    let traffic = Traffic::start(READERS, Duration::ZERO, move || {
        let mut client = client.clone();
        async move {
            let request = ListProductsRequest { page_size: 50, ..Default::default() };
            let page = client.list_products(request).await?.into_inner();
            let request = ListProductsRequest { page_size: 50, page_token: page.next_page_token, ..Default::default() };
            client.list_products(request).await?;
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    let goal = Goal::AtMost(20.0);
    report.add(&database.named("two_list_pages_p99"), outcome.quantile(0.99).as_secs_f64() * 1e3, "ms", goal);
    Ok(())
}
