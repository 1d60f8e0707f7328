//! Tail: where it begins, where it goes on, and that a slow reader loses nothing.

use std::time::Duration;

use anyhow::Context as _;
use harness::logs::{Client, Node, Producer, shipment};
use proto::logs::tail_request::Start;
use proto::logs::{Filter, Level, LogRecord, TailRequest, TailResponse};
use tonic::{Code, Streaming};

use super::{header, record};

async fn add(client: &mut Client, sequences: std::ops::RangeInclusive<u64>) -> anyhow::Result<()> {
    let first = *sequences.start();
    let records: Vec<LogRecord> = sequences.map(|sequence| record(sequence, "x")).collect();
    client.ship(shipment(header("p", first), &records)).await?;
    Ok(())
}

fn request(start: Option<Start>) -> TailRequest {
    let filter = Some(Filter { services: vec!["tests".into()], ..Default::default() });
    TailRequest { start, filter, ..Default::default() }
}

async fn tail(client: &mut Client, request: TailRequest) -> anyhow::Result<Streaming<TailResponse>> {
    Ok(client.tail(request).await?.into_inner())
}

/// Sequence numbers of the next so many records, and the offset to resume from.
async fn next(tail: &mut Streaming<TailResponse>, count: usize) -> anyhow::Result<(Vec<u64>, u64)> {
    let (mut found, mut resume) = (Vec::new(), 0);
    while found.len() < count {
        let message = tail.message().await?.context("it ended")?;
        found.extend(message.records.iter().filter_map(|row| Some(row.record.as_ref()?.sequence)));
        resume = message.next_offset;
    }
    Ok((found, resume))
}

fn range(sequences: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    sequences.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_with_the_last_ones_or_at_an_offset_or_at_a_time_or_at_the_end() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    add(&mut client, 1..=5000).await?;
    let noon = mesh::timestamp(jiff::Timestamp::now());
    add(&mut client, 5001..=5010).await?;

    let mut last = tail(&mut client, request(Some(Start::Last(3)))).await?;
    let mut all = tail(&mut client, request(Some(Start::FromOffset(0)))).await?;
    let mut since = tail(&mut client, request(Some(Start::FromTime(noon)))).await?;
    let mut end = tail(&mut client, request(None)).await?;
    assert_eq!(next(&mut last, 3).await?.0, range(5008..=5010));
    assert_eq!(next(&mut since, 10).await?.0, range(5001..=5010));
    // Where there is nothing to show, a sign of life comes: where it begins is known by then.
    assert!(end.message().await?.context("it ended")?.records.is_empty());
    add(&mut client, 5011..=5012).await?;

    assert_eq!(next(&mut last, 2).await?.0, range(5011..=5012));
    assert_eq!(next(&mut all, 5012).await?.0, range(1..=5012));
    assert_eq!(next(&mut since, 2).await?.0, range(5011..=5012));
    assert_eq!(next(&mut end, 2).await?.0, range(5011..=5012));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_resumes_where_it_was_also_after_a_crash() -> anyhow::Result<()> {
    let mut node = Node::start().await?;
    let mut client = node.client().await?;
    add(&mut client, 1..=3000).await?;
    let mut first = tail(&mut client, request(Some(Start::FromOffset(0)))).await?;
    let (mut found, resume) = next(&mut first, 1000).await?;
    drop(first);
    add(&mut client, 3001..=3100).await?;

    node.kill().await?;
    node.launch().await?;
    let mut client = node.client().await?;
    let mut second = tail(&mut client, request(Some(Start::FromOffset(resume)))).await?;
    add(&mut client, 3101..=3200).await?;
    let left = 3200 - found.len();
    found.extend(next(&mut second, left).await?.0);

    assert_eq!(found, range(1..=3200));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_at_the_end_when_told_not_to_follow_and_filters_what_it_shows() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let mut producer = Producer::new("tests", "p", 7);
    producer.say(4000);
    assert!(producer.ship(&mut client).await?);
    let filter = Filter { min_level: Level::Error.into(), ..request(None).filter.context("a filter")? };
    let expected = harness::logs::everything(&mut client, filter.clone()).await?;

    let quiet = TailRequest { filter: Some(filter), no_follow: true, start: Some(Start::FromOffset(0)) };
    let mut all = tail(&mut client, quiet.clone()).await?;
    let mut last = tail(&mut client, TailRequest { start: Some(Start::Last(5)), ..quiet }).await?;

    let (mut rows, mut few) = (Vec::new(), Vec::new());
    while let Some(message) = all.message().await? {
        rows.extend(message.records);
    }
    while let Some(message) = last.message().await? {
        few.extend(message.records);
    }
    assert!(expected.len() > 20);
    assert_eq!(rows, expected);
    assert_eq!(few, expected[expected.len() - 5..]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_reading_for_a_while_is_told_of_its_lag_and_loses_nothing() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let mut tail = tail(&mut node.client().await?, request(Some(Start::FromOffset(0)))).await?;
    let long = "x".repeat(1000);
    let mut sequence = 0;
    // Far more than all the windows and buffers in between hold.
    for _ in 0..100 {
        let records: Vec<LogRecord> = (sequence + 1..=sequence + 300).map(|sequence| record(sequence, &long)).collect();
        client.ship(shipment(header("p", sequence + 1), &records)).await?;
        sequence += 300;
    }
    // The lag is told once a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let (mut found, mut lag, mut resumed) = (Vec::new(), 0, 0);
    while (found.len() as u64) < sequence {
        let message = tail.message().await?.context("it ended")?;
        found.extend(message.records.iter().filter_map(|row| Some(row.record.as_ref()?.sequence)));
        lag = lag.max(message.lag.unwrap_or_default());
        assert!(message.next_offset >= resumed, "{} after {resumed}", message.next_offset);
        resumed = message.next_offset;
    }

    assert_eq!(found, range(1..=sequence));
    assert!(lag > 0, "it was behind and nobody said so");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_lives_when_there_is_nothing_to_say_and_ends_with_a_word_when_the_service_stops() -> anyhow::Result<()> {
    let mut node = Node::start().await?;
    let mut client = node.client().await?;
    let mut quiet = tail(&mut client, request(None)).await?;

    let message = quiet.message().await?.context("it ended")?;
    assert!(message.records.is_empty() && message.next_offset > 0, "{message:?}");
    node.stop().await?;

    let end = loop {
        match quiet.message().await {
            Ok(Some(_)) => {}
            Ok(None) => anyhow::bail!("it ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");
    let negative = Node::start().await?.client().await?.tail(request(Some(Start::Last(-1)))).await;
    assert_eq!(negative.expect_err("it is negative").code(), Code::InvalidArgument);
    Ok(())
}
