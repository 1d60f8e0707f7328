//! Reading products one by one, and page by page.

use std::time::Duration;

use anyhow::Context as _;
use harness::health;
use harness::load::Traffic;
use harness::system::{Role, System};
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{BatchCreateProductsRequest, CreateProductRequest, GetProductRequest, ListProductsRequest};
use tonic::transport::Channel;

use crate::bench::measure::{Goal, Report};
use crate::bench::products::Database;

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
    fill(ProductServiceClient::new(connection.clone())).await?;

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

async fn fill(mut client: ProductServiceClient<Channel>) -> anyhow::Result<()> {
    for batch in 0..PRODUCTS / 1000 {
        let requests = (0..1000).map(|n| {
            let number = batch * 1000 + n;
            CreateProductRequest {
                name: format!("Hex Bolt 3/8\" x {number}"),
                category: "Fasteners/Bolts".to_owned(),
                sku: format!("HB-{number:06}"),
                ..Default::default()
            }
        });
        let request = BatchCreateProductsRequest { requests: requests.collect(), ..Default::default() };
        let made = client.batch_create_products(request).await?.into_inner().products.len();
        anyhow::ensure!(made == 1000, "{made} products were made");
    }
    client.get_product(GetProductRequest { id: PRODUCTS, ..Default::default() }).await.context("the last one")?;
    Ok(())
}
