//! Every filter, compared with the same question asked of all records one by one.

use std::collections::BTreeSet;

use anyhow::Context as _;
use harness::logs::{Client, Generator, Node, everything, shipment};
use proto::logs::{FieldMatch, Filter, Level, LogRecord, Order, QueryRequest, ShipHeader, StoredRecord};

use super::header;

/// More than some blocks, so that there are encoded ones and open ones.
const RECORDS: u64 = 9000;

/// Three services with two instances each, and records as services write them.
async fn filled() -> anyhow::Result<(Node, Client, Vec<StoredRecord>)> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let mut generators: Vec<(String, Generator, u64)> = (0..6)
        .map(|n| (format!("{}-{}", ["orders", "stock", "prices"][n % 3], n / 3), Generator::new(n as u64), 1))
        .collect();
    let mut time = 1_700_000_000_000_000_000;
    for turn in 0..60 {
        let (name, generator, next) = &mut generators[turn % 6];
        let records: Vec<LogRecord> = (*next..*next + RECORDS / 60)
            .map(|sequence| {
                time += 1_000_000;
                LogRecord { sequence, ..generator.next(time) }
            })
            .collect();
        let service = name.split('-').next().unwrap_or_default().to_owned();
        let header = ShipHeader { service, ..header(name, *next) };
        client.ship(shipment(header, &records)).await?;
        *next += RECORDS / 60;
    }
    let services = ["orders", "stock", "prices"].map(str::to_owned).to_vec();
    let rows = everything(&mut client, Filter { services, ..Default::default() }).await?;
    anyhow::ensure!(rows.len() as u64 == RECORDS, "{} rows", rows.len());
    Ok((node, client, rows))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The contract of a filter, word for word.
fn matches(filter: &Filter, row: &StoredRecord) -> bool {
    let Some(record) = &row.record else { return false };
    let values = || record.fields.iter().map(|field| field.value.as_str());
    let said: BTreeSet<String> = std::iter::once(record.message.as_str())
        .chain([record.target.as_str()])
        .chain(values())
        .flat_map(words)
        .collect();
    let time = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
    let at = record.time.as_ref().map(time);
    record.level >= filter.min_level
        && (filter.services.is_empty() || filter.services.contains(&row.service))
        && (filter.instance_ids.is_empty() || filter.instance_ids.contains(&row.instance_id))
        && filter.from_time.as_ref().is_none_or(|from| at >= Some(time(from)))
        && filter.until_time.as_ref().is_none_or(|until| at < Some(time(until)))
        && filter.words.iter().flat_map(|text| words(text)).all(|word| said.contains(&word))
        && !filter.without_words.iter().flat_map(|text| words(text)).any(|word| said.contains(&word))
        && std::iter::once(record.message.as_str()).chain(values()).any(|text| text.contains(&filter.substring))
        && filter
            .fields
            .iter()
            .all(|wanted| record.fields.iter().any(|field| field.name == wanted.name && field.value == wanted.value))
        && (filter.trace_id.is_empty() || record.trace_id == filter.trace_id)
        && (filter.request_id.is_empty() || record.request_id == filter.request_id)
        && row.offset >= filter.from_offset
        && (filter.until_offset == 0 || row.offset < filter.until_offset)
}

/// Filters of each kind, and some of several; what they look for is there.
fn filters(rows: &[StoredRecord]) -> anyhow::Result<Vec<Filter>> {
    let (some, other) = (&rows[1234], &rows[7777]);
    let record = some.record.as_ref().context("a record")?;
    let later = other.record.as_ref().context("a record")?;
    let text = |text: &str| vec![text.to_owned()];
    let field = |n: usize| FieldMatch { name: record.fields[n].name.clone(), value: record.fields[n].value.clone() };
    let level = |level: Level| Filter { min_level: level.into(), ..Default::default() };
    let all = || Filter { services: vec!["orders".into(), "stock".into(), "prices".into()], ..Default::default() };
    let single = [
        level(Level::Trace),
        level(Level::Info),
        level(Level::Error),
        level(Level::Fatal),
        Filter { min_level: 14, ..Default::default() },
        Filter { services: text("stock"), ..Default::default() },
        Filter { instance_ids: text("prices-1"), ..Default::default() },
        Filter { instance_ids: text("nobody"), ..Default::default() },
        Filter { from_time: record.time, ..Default::default() },
        Filter { until_time: record.time, ..Default::default() },
        Filter { from_time: record.time, until_time: later.time, ..Default::default() },
        Filter { words: text("HINGE"), ..Default::default() },
        Filter { words: vec!["created".into(), "copper".into()], ..Default::default() },
        Filter { words: text("changed to"), ..Default::default() },
        Filter { words: text("checkout"), ..Default::default() },
        Filter { words: text("absentword"), ..Default::default() },
        Filter { words: text("hin"), ..Default::default() },
        Filter { without_words: vec!["hinge".into(), "call".into()], ..Default::default() },
        Filter { substring: "oduct in cat".into(), ..Default::default() },
        Filter { substring: "product 1".into(), ..Default::default() },
        Filter { substring: "HINGE".into(), ..Default::default() },
        Filter { substring: " us".into(), ..Default::default() },
        Filter { fields: vec![field(0)], ..Default::default() },
        Filter { fields: vec![field(0), field(1)], ..Default::default() },
        Filter { trace_id: record.trace_id.clone(), ..Default::default() },
        Filter { request_id: later.request_id.clone(), ..Default::default() },
        Filter { request_id: "nobody".into(), ..Default::default() },
        Filter { from_offset: some.offset, ..Default::default() },
        Filter { from_offset: some.offset, until_offset: other.offset, ..Default::default() },
    ];
    let several = [
        Filter { words: text("took"), substring: ".5".into(), ..level(Level::Warn) },
        Filter { instance_ids: vec!["orders-0".into(), "stock-1".into()], ..level(Level::Fatal) },
        Filter { without_words: text("product"), from_offset: some.offset, ..level(Level::Error) },
        Filter { trace_id: record.trace_id.clone(), services: text(&other.service), ..Default::default() },
    ];
    let named = |filter: Filter| {
        if filter.services.is_empty() { Filter { services: all().services, ..filter } } else { filter }
    };
    Ok([all()].into_iter().chain(single.into_iter().chain(several).map(named)).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_filter_finds_what_it_says_in_both_orders_also_after_a_restart() -> anyhow::Result<()> {
    let (mut node, mut client, rows) = filled().await?;
    let filters = filters(&rows)?;

    for restarted in [false, true] {
        if restarted {
            node.kill().await?;
            node.launch().await?;
            client = node.client().await?;
        }
        for filter in &filters {
            let expected: Vec<u64> = rows.iter().filter(|row| matches(filter, row)).map(|row| row.offset).collect();
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let request = QueryRequest {
                    filter: Some(filter.clone()),
                    order: order.into(),
                    page_size: 10_000,
                    ..Default::default()
                };
                let found = harness::logs::query(&mut client, request).await?;
                let mut offsets: Vec<u64> = found.rows.iter().map(|row| row.offset).collect();
                if order == Order::NewestFirst {
                    offsets.reverse();
                }
                assert!(
                    offsets == expected,
                    "{order:?} {filter:?}: {} instead of {} rows",
                    offsets.len(),
                    expected.len()
                );
            }
        }
    }
    Ok(())
}
