//! Rows on their way into the catalogue, as one client sends them.

use anyhow::Context as _;
use harness::system::System;
use proto::products::import_products_request::Part;
use proto::products::{ImportJob, ImportOptions, ImportProductsRequest, ImportRow, ImportRows};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};
use crate::bench::products::Database;

/// Enough that indexes are larger than what a piece touches.
const ROWS: i64 = 200_000;

pub(super) async fn measure(system: &System, report: &mut Report, database: Database) -> anyhow::Result<()> {
    let rate = |seconds: f64| ROWS as f64 / seconds;
    let began = Instant::now();
    let job = import(system, ROWS, 0).await?;
    anyhow::ensure!(job.created == ROWS, "{job:?}");
    let goal = Goal::AtLeast(database.either(5_000.0, 10_000.0));
    report.add(&database.named("import_new"), rate(began.elapsed().as_secs_f64()), "rows/s", goal);

    let began = Instant::now();
    let job = import(system, ROWS, 0).await?;
    anyhow::ensure!(job.unchanged == ROWS, "{job:?}");
    report.add(&database.named("import_same"), rate(began.elapsed().as_secs_f64()), "rows/s", Goal::Stated);

    let began = Instant::now();
    let job = import(system, ROWS, 1).await?;
    anyhow::ensure!(job.updated == ROWS / 10, "{job:?}");
    let goal = database.either(Goal::Stated, Goal::AtLeast(40_000.0));
    report.add(&database.named("import_tenth_changed"), rate(began.elapsed().as_secs_f64()), "rows/s", goal);
    Ok(())
}

/// Imports thousands of rows; in an edition above 0, a tenth of them says something else.
pub(super) async fn import(system: &System, rows: i64, edition: i64) -> anyhow::Result<ImportJob> {
    let row = move |line: i64| ImportRow {
        line,
        name: format!("#{} x {}/8\" Wood Screw, {} ct", line % 14, line % 9, if line % 10 == 0 { edition } else { 0 }),
        category: format!("Fasteners/Wood Screws/Size {}", line % 40),
        // Spread over the index, as codes of many makers are.
        sku: format!("{:08X}-{line}", line.wrapping_mul(2_654_435_761) as u32),
    };
    let options = ImportProductsRequest { part: Some(Part::Options(ImportOptions::default())) };
    let rows = (0..rows / 1000).map(move |piece| {
        let rows = (piece * 1000 + 1..=piece * 1000 + 1000).map(row).collect();
        ImportProductsRequest { part: Some(Part::Rows(ImportRows { rows })) }
    });
    let messages = tokio_stream::iter(std::iter::once(options).chain(rows));
    let mut call = tonic::Request::new(messages);
    call.set_timeout(std::time::Duration::from_secs(600));
    system.products().import_products(call).await?.into_inner().job.context("no job")
}
