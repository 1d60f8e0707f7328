//! Pages of lists, in every order and at any depth.

use std::time::Duration;

use harness::health;
use harness::system::{Role, System};
use proto::products::ListProductsRequest;
use proto::products::product_service_client::ProductServiceClient;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::bench::measure::{Goal, Report, quantile_ms};
use crate::bench::products::Catalogue;

const ORDERS: [&str; 5] = ["name", "sku", "category", "create_time", "update_time"];

/// Products on a page that is measured, as on one of the portal.
const PAGE: i32 = 50;

/// Pages that are read to find places in a list, of the first order and of the others, and
/// products on each.
const DEPTH: i64 = 1000;
const OTHERS: i64 = 200;
const STRIDE: i32 = 1000;

/// Of how many products is a page whose number is 100,000: at the end of a million.
const SMALL: i32 = 10;

/// Pages that the first and the deep one are each asked for.
const PAIRS: usize = 1000;

type Client = ProductServiceClient<Channel>;

pub(super) async fn measure(
    system: &System,
    report: &mut Report,
    catalogue: Catalogue,
    each: Duration,
) -> anyhow::Result<()> {
    let mut client = Client::new(health::connect(system.address(Role::Products(0))?).await?);
    let mut orders = Vec::new();
    for order in ORDERS {
        for order_by in [order.to_owned(), format!("{order} desc")] {
            let depth = if orders.is_empty() { DEPTH } else { OTHERS };
            let places = places(&mut client, &order_by, depth.min(catalogue.rows / i64::from(STRIDE) - 1)).await?;
            orders.push((order_by, places));
        }
    }
    let (mut all, mut slowest) = (Vec::new(), (0.0, ""));
    for (order_by, places) in &orders {
        let mut times = Vec::new();
        let end = Instant::now() + each / 2;
        while Instant::now() < end {
            let place = &places[fastrand::usize(..places.len())];
            times.push(page(&mut client, order_by, place, PAGE).await?.0);
        }
        let p99 = quantile_ms(&mut times, 0.99);
        if p99 > slowest.0 {
            slowest = (p99, order_by);
        }
        all.extend(times);
    }
    let goal = Goal::AtMost(if catalogue.rows < 2_000_000 { 10.0 } else { 15.0 });
    let named = |measure: &str| catalogue.database.named(measure);
    report.add(&named("list_page_p50"), quantile_ms(&mut all, 0.5), "ms", Goal::Stated);
    report.add(&named("list_page_p99"), quantile_ms(&mut all, 0.99), "ms", goal);
    let name = format!("list_page_p99_by_{}", slowest.1.replace(' ', "_"));
    report.add(&named(&name), slowest.0, "ms", Goal::Stated);

    let (order_by, places) = &orders[0];
    let (first, deep) = (&places[0], &places[places.len() - 1]);
    let (mut at_first, mut at_deep) = (Vec::new(), Vec::new());
    // In turn, so that whatever else goes on meets both.
    for _ in 0..PAIRS {
        at_first.push(page(&mut client, order_by, first, SMALL).await?.0);
        at_deep.push(page(&mut client, order_by, deep, SMALL).await?.0);
    }
    let number = (places.len() - 1) as f64 * f64::from(STRIDE) / f64::from(SMALL);
    report.add(&named("list_deep_page_number"), number, "pages", Goal::Stated);
    report.add(&named("list_first_page_p50"), quantile_ms(&mut at_first, 0.5), "ms", Goal::Stated);
    report.add(&named("list_deep_page_p50"), quantile_ms(&mut at_deep, 0.5), "ms", Goal::Stated);
    let ratio = quantile_ms(&mut at_deep, 0.5) / quantile_ms(&mut at_first, 0.5);
    report.add(&named("list_deep_to_first"), ratio, "times", Goal::AtMost(1.5));
    Ok(())
}

/// Tokens of places in a list, each a stride behind the one before; the first is the beginning.
async fn places(client: &mut Client, order_by: &str, depth: i64) -> anyhow::Result<Vec<String>> {
    let mut places = vec![String::new()];
    while places.len() as i64 <= depth {
        let last = places.last().cloned().unwrap_or_default();
        let (_, next) = page(client, order_by, &last, STRIDE).await?;
        anyhow::ensure!(!next.is_empty(), "the list by {order_by} ends after {} strides", places.len());
        places.push(next);
    }
    Ok(places)
}

/// How long a page takes, and the token of the next one.
async fn page(client: &mut Client, order_by: &str, token: &str, page_size: i32) -> anyhow::Result<(Duration, String)> {
    let request = ListProductsRequest {
        page_size,
        page_token: token.to_owned(),
        order_by: order_by.to_owned(),
        ..Default::default()
    };
    let began = Instant::now();
    let page = client.list_products(request).await?.into_inner();
    anyhow::ensure!(page.products.len() == page_size as usize, "a page of {} products", page.products.len());
    Ok((began.elapsed(), page.next_page_token))
}
