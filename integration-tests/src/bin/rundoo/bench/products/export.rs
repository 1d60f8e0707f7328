//! Rows on their way out of the catalogue, as one client takes them.

use anyhow::Context as _;
use harness::health;
use harness::system::{Role, System};
use proto::products::ExportProductsRequest;
use proto::products::product_service_client::ProductServiceClient;
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};
use crate::bench::memory::{self, Watched};
use crate::bench::products::Catalogue;

/// What is exported: all by ids, all along another index, and a part that is looked for among all.
const EXPORTS: [(&str, &str, &str); 3] = [
    ("export_by_id", "", "id"),
    ("export_by_name", "", "name"),
    ("export_filtered", "category:\"Tools\" AND version = 1", "id"),
];

pub(super) async fn measure(system: &mut System, report: &mut Report, catalogue: Catalogue) -> anyhow::Result<()> {
    let connection = health::connect(system.address(Role::Products(0))?).await?;
    let pid = system.process(Role::Products(0))?.pid().context("it runs")?;
    let (before, watched) = (memory::of(pid)?, Watched::start(pid));
    let named = |measure: &str| catalogue.database.named(measure);
    for (measure, filter, order_by) in EXPORTS {
        let request =
            ExportProductsRequest { filter: filter.to_owned(), order_by: order_by.to_owned(), ..Default::default() };
        let began = Instant::now();
        let mut batches = ProductServiceClient::new(connection.clone()).export_products(request).await?.into_inner();
        let (mut rows, mut whole) = (0, false);
        while let Some(batch) = batches.message().await? {
            rows += batch.products.len();
            whole = batch.is_last;
        }
        anyhow::ensure!(whole && (!filter.is_empty() || i64::try_from(rows)? >= catalogue.rows), "{rows} rows");
        let goal = if filter.is_empty() { Goal::AtLeast(100_000.0) } else { Goal::Stated };
        report.add(&named(measure), rows as f64 / began.elapsed().as_secs_f64(), "rows/s", goal);
    }
    report.add(&named("export_memory_more"), watched.most().all - before.all, "MiB", Goal::Stated);
    Ok(())
}
