//! A page of products as JSON: as fast as it goes, and what the way through the gateway adds to the call itself.

use std::time::Duration;

use harness::load::Traffic;
use harness::system::System;
use proto::products::ListProductsRequest;

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::portal::home::AT_ONCE;
use crate::bench::portal::visitors::Visitors;

/// What a page of fifty is asked for with.
const LIST: &str = "/v1/products?page_size=50";

pub(super) async fn measure(system: &System, report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let rate = async |encoding: &'static str| -> anyhow::Result<_> {
        let visitors = Visitors::of(system.portal());
        let traffic = Traffic::start(AT_ONCE, Duration::ZERO, move || {
            let visitors = visitors.clone();
            async move { list(&visitors, encoding).await }
        });
        tokio::time::sleep(each).await;
        let outcome = traffic.end().await;
        anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
        Ok(outcome)
    };
    rate("identity").await?;
    let plain = rate("identity").await?;
    report.add("gateway_list_rate", plain.rate(), "requests/s", Goal::AtLeast(2500.0));
    report.add("gateway_list_p99", ms(plain.quantile(0.99)), "ms", Goal::Stated);
    report.add("gateway_list_gzip_rate", rate("gzip").await?.rate(), "requests/s", Goal::Stated);

    // One at a time, so that nothing waits: as JSON, and the same call without the gateway.
    let visitors = Visitors::of(system.portal());
    let as_json = Traffic::start(1, Duration::ZERO, move || {
        let visitors = visitors.clone();
        async move { list(&visitors, "identity").await }
    });
    tokio::time::sleep(each).await;
    let as_json = as_json.end().await;
    let products = system.products();
    let as_call = Traffic::start(1, Duration::ZERO, move || {
        let mut products = products.clone();
        async move {
            let page = products.list_products(ListProductsRequest { page_size: 50, ..Default::default() }).await?;
            anyhow::ensure!(page.into_inner().products.len() == 50, "no page");
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    let as_call = as_call.end().await;
    let (json, call) = (ms(as_json.quantile(0.5)), ms(as_call.quantile(0.5)));
    report.add("gateway_one_p50", json, "ms", Goal::Stated);
    report.add("gateway_call_p50", call, "ms", Goal::Stated);
    report.add("gateway_adds_p50", json - call, "ms", Goal::AtMost(0.6));
    Ok(())
}

async fn list(visitors: &Visitors, encoding: &str) -> anyhow::Result<()> {
    let page = visitors.get_as(LIST, &[], encoding).await?;
    anyhow::ensure!(page.status.is_success(), "it answers {}", page.status);
    anyhow::ensure!(page.body.len() > 500, "a list of {} bytes", page.body.len());
    Ok(())
}
