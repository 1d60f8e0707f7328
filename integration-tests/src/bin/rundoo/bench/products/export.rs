//! Rows on their way out of the catalogue, as one client takes them.

use harness::health;
use harness::system::{Role, System};
use proto::products::ExportProductsRequest;
use proto::products::product_service_client::ProductServiceClient;
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};
use crate::bench::products::Database;
use crate::bench::products::import::import;

/// Enough that what runs ahead is a small part.
const ROWS: i64 = 200_000;

/// What is exported: all by ids, all along another index, and a seventh that is looked for among all.
const EXPORTS: [(&str, &str, &str); 3] = [
    ("export_by_id", "", "id"),
    ("export_by_name", "", "name"),
    ("export_filtered", "name = \"#3 *\" AND version = 1", "id"),
];

pub(super) async fn measure(system: &System, report: &mut Report, database: Database) -> anyhow::Result<()> {
    let job = import(system, ROWS, 0).await?;
    anyhow::ensure!(job.created == ROWS, "{job:?}");
    let connection = health::connect(system.address(Role::Products(0))?).await?;
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
        anyhow::ensure!(whole && (!filter.is_empty() || i64::try_from(rows)? == ROWS), "{rows} rows");
        let goal = if filter.is_empty() { Goal::AtLeast(100_000.0) } else { Goal::Stated };
        report.add(&database.named(measure), rows as f64 / began.elapsed().as_secs_f64(), "rows/s", goal);
    }
    Ok(())
}
