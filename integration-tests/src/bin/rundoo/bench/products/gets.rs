//! Products one by one, by their ids.

use std::time::Duration;

use harness::health;
use harness::load::Traffic;
use harness::system::{Role, System};
use proto::products::GetProductRequest;
use proto::products::product_service_client::ProductServiceClient;

use crate::bench::measure::{Goal, Report};
use crate::bench::products::Catalogue;

/// Readers at the same time: fewer than would fill two cores.
const READERS: usize = 2;

pub(super) async fn measure(
    system: &System,
    report: &mut Report,
    catalogue: Catalogue,
    each: Duration,
) -> anyhow::Result<()> {
    let client = ProductServiceClient::new(health::connect(system.address(Role::Products(0))?).await?);
    let traffic = Traffic::start(READERS, Duration::ZERO, move || {
        let mut client = client.clone();
        let id = fastrand::i64(1..=catalogue.rows);
        async move {
            client.get_product(GetProductRequest { id, ..Default::default() }).await?;
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    let goal = Goal::AtMost(catalogue.database.either(3.0, 5.0));
    report.add(&catalogue.database.named("get_product_p99"), outcome.quantile(0.99).as_secs_f64() * 1e3, "ms", goal);
    Ok(())
}
