//! The four processes of the catalogue: what they take while idle, and what they do under load.

use std::time::Duration;

use anyhow::Context as _;
use harness::load::{Outcome, Traffic};
use harness::system::{Options, System};
use proto::products::{CreateProductRequest, GetProductRequest, ListProductsRequest};

use crate::bench::echo::{CROWD, Echo};
use crate::bench::measure::{Goal, Report};
use crate::bench::mesh::{death, idle, ship, store};

pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let mut system = System::with(Options::default()).await?;
    idle::measure(&mut system, report).await?;
    let products = fill(&system).await?;

    // The bare echo first and last, so that drift of the machine shows.
    let echo = Echo::start()?;
    let before = echo.measure(CROWD, each).await?;
    let single_echo = echo.measure(1, each).await?;
    let get = call(&system, CROWD, each, products, Call::Get).await;
    let single_get = call(&system, 1, each, products, Call::Get).await;
    let list = call(&system, CROWD, each, products, Call::List).await;
    let after = echo.measure(CROWD, each).await?;

    let bare = f64::midpoint(before.rate(), after.rate());
    report.add("echo_rate_64", bare, "requests/s", Goal::Stated);
    latencies(report, "echo_1", &single_echo);
    report.add("get_product_rate_64", get.rate(), "requests/s", Goal::Stated);
    report.add("get_product_of_echo", get.rate() / bare * 100.0, "%", Goal::Stated);
    latencies(report, "get_product_64", &get);
    latencies(report, "get_product_1", &single_get);
    report.add("list_products_rate_64", list.rate(), "requests/s", Goal::Stated);
    latencies(report, "list_products_64", &list);
    let failed = get.failed + list.failed + single_get.failed;
    report.add("failed_calls", failed as f64, "calls", Goal::AtMost(0.0));

    let (records, disk) = ship::measure(&system, each).await?;
    report.add("ship_rate", records, "records/s", Goal::Stated);
    report.add("fdatasync_p50", disk.as_secs_f64() * 1e3, "ms", Goal::Stated);
    store::measure(&system, report).await?;
    death::measure(&mut system, report).await?;
    Ok(())
}

fn latencies(report: &mut Report, name: &str, outcome: &Outcome) {
    for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
        report.add(&format!("{name}_{quantile}"), outcome.quantile(share).as_secs_f64() * 1e6, "us", Goal::Stated);
    }
}

/// Adds products and answers their ids.
async fn fill(system: &System) -> anyhow::Result<(i64, i64)> {
    let mut products = system.products();
    let mut ids = Vec::new();
    for n in 0..200 {
        let request = CreateProductRequest {
            name: format!("#8 x 1-5/8\" Coarse Drywall Screw, {n} lb"),
            category: "Fasteners/Drywall Screws".into(),
            sku: format!("FS-{n:05}"),
            request_id: String::new(),
            ..Default::default()
        };
        ids.push(products.create_product(request).await?.into_inner().product.context("it was created")?.id);
    }
    Ok((ids[0], ids[ids.len() - 1]))
}

#[derive(Clone, Copy)]
enum Call {
    Get,
    List,
}

async fn call(system: &System, callers: usize, each: Duration, (first, last): (i64, i64), call: Call) -> Outcome {
    let client = system.products();
    let traffic = Traffic::start(callers, Duration::ZERO, move || {
        let mut client = client.clone();
        async move {
            match call {
                Call::Get => drop(
                    client
                        .get_product(GetProductRequest { id: fastrand::i64(first..=last), ..Default::default() })
                        .await?,
                ),
                Call::List => {
                    drop(client.list_products(ListProductsRequest { page_size: 50, ..Default::default() }).await?)
                }
            }
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    traffic.end().await
}
