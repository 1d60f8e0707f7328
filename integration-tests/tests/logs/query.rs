//! Query as a conversation: orders, pages, snapshots, ends, progress, refusals.

use std::time::Duration;

use anyhow::Context as _;
use harness::logs::{Client, Found, Node, query, shipment};
use mesh::Refusal;
use proto::logs::query_done::End;
use proto::logs::query_response::Part;
use proto::logs::{Filter, LogRecord, Order, QueryRequest, StoredRecord};
use tonic::Code;

use super::{header, record};

/// Ten thousand of these are far more than all the windows and buffers on the way to a reader hold.
const LONG: usize = 3000;

/// A log service with so many records of the tests.
async fn with(count: u64) -> anyhow::Result<(Node, Client)> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    add(&mut client, 1, count).await?;
    Ok((node, client))
}

async fn add(client: &mut Client, first: u64, count: u64) -> anyhow::Result<()> {
    let message = |sequence: u64| format!("number {sequence} of many");
    let records: Vec<LogRecord> = (first..first + count).map(|sequence| record(sequence, &message(sequence))).collect();
    send(client, &records).await
}

/// A log service with a page of long records.
async fn with_long() -> anyhow::Result<(Node, Client)> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let long = "x".repeat(LONG);
    send(&mut client, &(1..=10_000).map(|sequence| record(sequence, &long)).collect::<Vec<_>>()).await?;
    Ok((node, client))
}

async fn send(client: &mut Client, records: &[LogRecord]) -> anyhow::Result<()> {
    for chunk in records.chunks(20_000) {
        client.ship(shipment(header("p", chunk[0].sequence), chunk)).await?;
    }
    Ok(())
}

fn request(order: Order, page_size: i32) -> QueryRequest {
    let filter = Some(Filter { services: vec!["tests".into()], ..Default::default() });
    QueryRequest { filter, order: order.into(), page_size, ..Default::default() }
}

fn sequences(rows: &[StoredRecord]) -> Vec<u64> {
    rows.iter().filter_map(|row| Some(row.record.as_ref()?.sequence)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_newest_first_unless_asked_otherwise() -> anyhow::Result<()> {
    let (_node, mut client) = with(250).await?;

    let newest = query(&mut client, request(Order::Unspecified, 0)).await?;
    let oldest = query(&mut client, request(Order::OldestFirst, 10)).await?;
    let all = query(&mut client, request(Order::NewestFirst, 1000)).await?;

    assert_eq!(sequences(&newest.rows), (151..=250).rev().collect::<Vec<_>>());
    assert_eq!(sequences(&oldest.rows), (1..=10).collect::<Vec<_>>());
    assert_eq!(sequences(&all.rows), (1..=250).rev().collect::<Vec<_>>());
    assert_eq!((newest.done.end(), newest.done.rows), (End::PageFull, 100));
    assert_eq!((all.done.end(), all.done.rows, all.done.next_page_token.as_str()), (End::Complete, 250, ""));
    assert!(all.done.snapshot > all.rows[0].offset && all.done.progress.is_some());
    let row = &all.rows[0];
    assert_eq!(
        (row.producer.as_str(), row.instance_id.as_str(), row.incarnation, row.last_words),
        ("p", "p", 1, false)
    );
    assert!(row.received.is_some() && row.record.as_ref().context("a record")?.time.is_some());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_of_the_log_as_it_was_at_the_first_one() -> anyhow::Result<()> {
    let (_node, mut client) = with(3000).await?;
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let first = 1 + sequences(&query(&mut client, request(Order::NewestFirst, 1)).await?.rows)[0];
        let (mut found, mut token, mut snapshots) = (Vec::new(), String::new(), Vec::new());
        let mut added = 0;
        loop {
            let page = QueryRequest { page_token: token, ..request(order, 700) };
            let Found { rows, done, .. } = query(&mut client, page).await?;
            found.extend(sequences(&rows));
            snapshots.push(done.snapshot);
            // Whoever pages is not alone.
            add(&mut client, first + added, 50).await?;
            added += 50;
            token = done.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        found.sort_unstable();
        assert_eq!(found, (1..first).collect::<Vec<_>>(), "{order:?}");
        snapshots.dedup();
        assert_eq!(snapshots.len(), 1, "{order:?}: {snapshots:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_runs_out_of_time_says_so_and_goes_on_where_it_was() -> anyhow::Result<()> {
    let (_node, mut client) = with(60_000).await?;
    let filter = Some(Filter { substring: "999 of".into(), ..Default::default() });
    let whole = QueryRequest { filter, order: Order::OldestFirst.into(), page_size: 10_000, ..Default::default() };
    let expected = query(&mut client, whole.clone()).await?;
    assert_eq!(expected.done.end(), End::Complete);

    let (mut found, mut token, mut ends) = (Vec::new(), String::new(), 0);
    for _ in 0..10_000 {
        let mut part = tonic::Request::new(QueryRequest { page_token: token.clone(), ..whole.clone() });
        part.set_timeout(Duration::from_millis(60));
        match query(&mut client, part).await {
            Ok(part) => {
                ends += u32::from(part.done.end() == End::OutOfTime);
                found.extend(sequences(&part.rows));
                token = part.done.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            // The machine was slower than the deadline is long.
            Err(status) if [Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()) => {}
            Err(status) => return Err(status.into()),
        }
    }

    assert!(ends > 0, "it took {:?} at once", expected.elapsed);
    assert_eq!(found, sequences(&expected.rows));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_takes_long_says_how_far_it_is() -> anyhow::Result<()> {
    let (_node, mut client) = with_long().await?;
    let mut stream = client.query(request(Order::OldestFirst, 10_000)).await?.into_inner();

    let mut progress = Vec::new();
    let mut rows = 0;
    while let Some(message) = stream.message().await? {
        match message.part.context("an empty message")? {
            Part::Rows(more) => rows += more.records.len(),
            Part::Progress(told) => progress.push(told),
            Part::Done(done) => assert_eq!((done.end(), done.rows), (End::PageFull, 10_000)),
        }
        // A reader that is slow at first.
        if rows < 4000 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    assert_eq!(rows, 10_000);
    assert!(!progress.is_empty());
    assert!(progress.is_sorted_by_key(|told| told.offset), "{progress:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_another_search_and_a_filter_that_cannot_be_read_are_refused() -> anyhow::Result<()> {
    let (_node, mut client) = with(300).await?;
    let token = query(&mut client, request(Order::NewestFirst, 0)).await?.done.next_page_token;
    let with_filter = |filter| QueryRequest { filter: Some(filter), ..Default::default() };
    let wrong = [
        ("page_token", QueryRequest { page_token: token.clone(), ..request(Order::OldestFirst, 0) }),
        ("page_token", QueryRequest { page_token: token, ..with_filter(Filter::default()) }),
        ("page_token", QueryRequest { page_token: "nonsense".into(), ..request(Order::NewestFirst, 0) }),
        ("page_size", request(Order::NewestFirst, -1)),
        ("order", QueryRequest { order: 77, ..Default::default() }),
        ("filter.words", with_filter(Filter { words: vec!["---".into()], ..Default::default() })),
        ("filter.words", with_filter(Filter { words: vec!["a".into(); 33], ..Default::default() })),
        ("filter.services", with_filter(Filter { services: vec!["a".into(); 65], ..Default::default() })),
        ("filter.substring", with_filter(Filter { substring: "x".repeat(5000), ..Default::default() })),
    ];

    for (field, request) in wrong {
        let refusal = query(&mut client, request).await.expect_err(field);

        assert_eq!(refusal.code(), Code::InvalidArgument, "{field}: {refusal:?}");
        assert_eq!(Refusal::fields(&refusal)[0].0, field);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_search_too_many_is_asked_to_come_back() -> anyhow::Result<()> {
    let (node, client) = with_long().await?;
    let mut open = Vec::new();
    let refusal = loop {
        // Nobody reads these, so they stay open. Each has a connection of its own, or they would share its window.
        match node.client().await?.query(request(Order::NewestFirst, 10_000)).await {
            Ok(stream) => open.push(stream),
            Err(refusal) => break refusal,
        }
        anyhow::ensure!(open.len() < 100, "there is no bound");
    };

    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
    assert_eq!(Refusal::reason(&refusal).as_deref(), Some("BUSY"));
    assert!(Refusal::retry_delay(&refusal).is_some(), "{refusal:?}");
    drop(open);
    harness::eventually("there is room again", async || {
        Ok(query(&mut client.clone(), request(Order::NewestFirst, 1)).await?)
    })
    .await;
    Ok(())
}
