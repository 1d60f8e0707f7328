//! Rows on their way into the catalogue, as one client sends them.

use std::time::Duration;

use anyhow::Context as _;
use harness::system::{Role, System};
use productsvc::store::ProductStore;
use proto::products::import_products_request::Part;
use proto::products::{ImportJob, ImportOptions, ImportProductsRequest, ImportRow, ImportRows};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};
use crate::bench::memory::{self, Watched};
use crate::bench::products::Catalogue;
use crate::bench::products::generator::row;

/// Rows of one message.
const MESSAGE: i64 = 1000;

/// Rows that are sent again, some of them changed, and new ones into a catalogue that is there.
const CHANGES: i64 = 200_000;

/// Changes that are worth no piece of the index yet: they are searched in memory.
const LEFT: i64 = 16_384;

/// What a product service may take more while it imports.
const MOST_MEMORY: f64 = 64.0;

/// A million rows into an empty catalogue in a minute.
const INTO_EMPTY: f64 = 1_000_000.0 / 60.0;

/// Fills an empty catalogue, and waits until the search index has all of it.
pub(crate) async fn fill(system: &mut System, report: &mut Report, catalogue: Catalogue) -> anyhow::Result<()> {
    let rows = catalogue.rows;
    let named = |measure: &str| catalogue.database.named(measure);
    let pid = system.process(Role::Products(0))?.pid().context("it runs")?;
    let (before, watched) = (memory::of(pid)?, Watched::start(pid));
    let began = Instant::now();
    let job = import(system, (1..=rows).map(|number| row(number, 0))).await?;
    anyhow::ensure!(job.created == rows, "{job:?}");
    let took = began.elapsed().as_secs_f64();
    report.add(&named("import_into_empty"), rows as f64 / took, "rows/s", Goal::AtLeast(INTO_EMPTY));
    let most = watched.most();
    report.add(&named("import_memory_more"), most.all - before.all, "MiB", Goal::AtMost(MOST_MEMORY));
    report.add(&named("import_memory_more_anonymous"), most.anonymous - before.anonymous, "MiB", Goal::Stated);
    indexed(system).await?;
    report.add(&named("index_behind_import"), began.elapsed().as_secs_f64() - took, "s", Goal::Stated);
    Ok(())
}

/// Imports into a catalogue that is there: new rows, the same again, a tenth of them changed.
pub(super) async fn measure(system: &System, report: &mut Report, catalogue: Catalogue) -> anyhow::Result<()> {
    let rows = CHANGES.min(catalogue.rows);
    // Whatever was measured on this catalogue before, these are new.
    let now = jiff::Timestamp::now().as_second();
    let new = move |number: i64| ImportRow { sku: format!("N{now}-{number}"), ..row(number, now) };
    let measures: [(&str, Goal); 3] = [
        ("import_new", Goal::AtLeast(catalogue.database.either(5_000.0, 10_000.0))),
        ("import_same", Goal::Stated),
        ("import_tenth_changed", catalogue.database.either(Goal::Stated, Goal::AtLeast(40_000.0))),
    ];
    for (place, (measure, goal)) in measures.into_iter().enumerate() {
        let began = Instant::now();
        let job = match place {
            0 => import(system, (1..=rows).map(new)).await?,
            1 => import(system, (1..=rows).map(new)).await?,
            _ => import(system, (1..=rows).map(move |number| row(number, now))).await?,
        };
        let expected = [(rows, 0), (0, 0), (0, rows / 10)][place];
        anyhow::ensure!((job.created, job.updated) == expected, "{job:?}");
        let rate = rows as f64 / began.elapsed().as_secs_f64();
        report.add(&catalogue.database.named(measure), rate, "rows/s", goal);
        // What one leaves to the index is not the next one's.
        indexed(system).await?;
    }
    Ok(())
}

async fn import(
    system: &System,
    mut rows: impl Iterator<Item = ImportRow> + Send + 'static,
) -> anyhow::Result<ImportJob> {
    let options = ImportProductsRequest { part: Some(Part::Options(ImportOptions::default())) };
    let pieces = std::iter::from_fn(move || {
        let rows: Vec<ImportRow> = rows.by_ref().take(MESSAGE as usize).collect();
        (!rows.is_empty()).then_some(ImportProductsRequest { part: Some(Part::Rows(ImportRows { rows })) })
    });
    let messages = tokio_stream::iter(std::iter::once(options).chain(pieces));
    let mut call = tonic::Request::new(messages);
    call.set_timeout(Duration::from_secs(24 * 60 * 60));
    system.products().import_products(call).await?.into_inner().job.context("no job")
}

/// Waits until the search index has what was written, but for the few changes that it leaves
/// for a while.
pub(super) async fn indexed(system: &System) -> anyhow::Result<()> {
    let store = ProductStore::open(&system.database_url()).await?;
    loop {
        let state = store.search_state(Instant::now() + Duration::from_secs(10)).await?;
        if state.last_sequence - state.indexed_sequence < LEFT && state.built_from == 0 {
            store.close().await;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
