//! Searches over a large log, one after another, as a person asks them: what it takes until the last message.

use std::time::Duration;

use anyhow::Context as _;
use harness::logs::{Client, Found, query};
use proto::logs::{FieldMatch, Filter, Level, LogRecord, Order, QueryRequest};

use crate::bench::logs::large::SERVICES;
use crate::bench::measure::{Goal, Report, ms, quantile_ms};

/// Searches of each kind, each with other words.
const SEARCHES: usize = 60;

/// Full scans of each kind.
const SCANS: usize = 5;

/// What feels immediate.
const INSTANT_MS: f64 = 50.0;

/// What a full scan may take.
const SCAN_MS: f64 = 2500.0;

/// Rows of a page.
const PAGE: i32 = 100;

/// Kinds of searches, by what is looked for.
const KINDS: [&str; 10] = [
    "level_error",
    "level_fatal_service",
    "service",
    "instance",
    "word_usual",
    "word_rare",
    "word_absent",
    "trace",
    "request",
    "field",
];

pub(super) async fn measure(report: &mut Report, client: &mut Client, end: u64) -> anyhow::Result<()> {
    for kind in KINDS {
        let (mut times, mut rows) = (Vec::new(), 0);
        for n in 0..SEARCHES {
            let sample = sample(client, end).await?;
            let found = search(client, filter(kind, n, &sample)).await.with_context(|| kind.to_owned())?;
            times.push(found.elapsed);
            rows += found.rows.len();
        }
        anyhow::ensure!(rows > 0 || kind == "word_absent", "nothing was found: {kind}");
        report.add(&format!("query_{kind}_p50"), quantile_ms(&mut times, 0.5), "ms", Goal::Stated);
        report.add(&format!("query_{kind}_p95"), quantile_ms(&mut times, 0.95), "ms", Goal::AtMost(INSTANT_MS));
        report.add(&format!("query_{kind}_rows"), rows as f64 / SEARCHES as f64, "rows", Goal::Stated);
    }
    scan(report, client).await
}

/// Texts that no index knows: inside of words.
async fn scan(report: &mut Report, client: &mut Client) -> anyhow::Result<()> {
    let (mut absent, mut first_word) = (Vec::new(), Vec::new());
    for n in 0..SCANS {
        let found = search(client, Filter { substring: format!("zqx{n}"), ..Default::default() }).await?;
        anyhow::ensure!(found.rows.is_empty(), "somebody said it");
        absent.push(found.elapsed);
        first_word.push(found.first_message.unwrap_or(found.elapsed));
    }
    report.add("scan_absent_p50", quantile_ms(&mut absent, 0.5), "ms", Goal::AtMost(SCAN_MS));
    report.add("scan_absent_first_message_p50", quantile_ms(&mut first_word, 0.5), "ms", Goal::Stated);
    let mut first_rows: Vec<Duration> = Vec::new();
    for n in 0..SCANS {
        let found =
            search(client, Filter { substring: format!("eated product {}", n + 1), ..Default::default() }).await?;
        first_rows.push(found.first_rows.context("nothing was found")?);
    }
    report.add("scan_present_first_rows_p50", quantile_ms(&mut first_rows, 0.5), "ms", Goal::AtMost(INSTANT_MS));
    report.add("scan_present_first_rows_max", first_rows.last().map_or(f64::NAN, |time| ms(*time)), "ms", Goal::Stated);
    Ok(())
}

async fn search(client: &mut Client, filter: Filter) -> anyhow::Result<Found> {
    let request = QueryRequest { filter: Some(filter), page_size: PAGE, ..Default::default() };
    Ok(query(client, request).await?)
}

/// A record somewhere in the log.
async fn sample(client: &mut Client, end: u64) -> anyhow::Result<LogRecord> {
    let filter = Filter {
        from_offset: fastrand::u64(1..end),
        services: SERVICES.map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let request =
        QueryRequest { filter: Some(filter), order: Order::OldestFirst.into(), page_size: 1, ..Default::default() };
    let found = query(client, request).await?;
    // The very end may be records of others.
    let row = found.rows.into_iter().next();
    Ok(row.and_then(|row| row.record).unwrap_or_default())
}

fn filter(kind: &str, n: usize, sample: &LogRecord) -> Filter {
    let service = SERVICES[n % SERVICES.len()].to_owned();
    let some = Filter::default();
    match kind {
        "level_error" => Filter { min_level: Level::Error.into(), ..some },
        "level_fatal_service" => Filter { min_level: Level::Fatal.into(), services: vec![service], ..some },
        "service" => Filter { services: vec![service], ..some },
        "instance" => Filter { instance_ids: vec![format!("{service}-{}", n % 2)], ..some },
        "word_usual" => Filter { words: vec!["hinge".into()], ..some },
        // A number of five or six digits, in some thirty records of ten million.
        "word_rare" => Filter { words: vec![fastrand::u32(10_000..200_000).to_string()], ..some },
        "word_absent" => Filter { words: vec![format!("zirconium{n}")], ..some },
        "trace" => Filter { trace_id: sample.trace_id.clone(), ..some },
        "request" => Filter { request_id: sample.request_id.clone(), ..some },
        _ => {
            let value = fastrand::u32(10_000..200_000).to_string();
            Filter { fields: vec![FieldMatch { name: "product.id".into(), value }], ..some }
        }
    }
}
