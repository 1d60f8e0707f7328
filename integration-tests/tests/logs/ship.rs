//! The contract of Ship: holes, gaps, repetitions, refusals, hints.

use anyhow::Context as _;
use harness::logs::{Client, Node, everything, shipment};
use mesh::Refusal;
use proto::logs::{
    Filter, Level, LevelCount, LogRecord, RequestLevelsRequest, ShipHeader, ShipResponse, ShipStateRequest,
    StoredRecord,
};
use tonic::{Code, Status};

use super::{header, record};

async fn ship(client: &mut Client, header: ShipHeader, records: &[LogRecord]) -> Result<ShipResponse, Status> {
    Ok(client.ship(shipment(header, records)).await?.into_inner())
}

async fn rows(client: &mut Client) -> anyhow::Result<Vec<StoredRecord>> {
    everything(client, Filter { services: vec!["tests".into()], ..Default::default() }).await
}

fn numbered(sequences: std::ops::RangeInclusive<u64>) -> Vec<LogRecord> {
    sequences.map(|sequence| record(sequence, &format!("number {sequence}"))).collect()
}

fn gap(sequence: u64, lost: &[(Level, u64)]) -> LogRecord {
    let lost = lost.iter().map(|(level, count)| LevelCount { level: (*level).into(), count: *count }).collect();
    LogRecord { sequence, lost, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_is_refused_until_it_is_filled_or_declared() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    ship(&mut client, header("p", 1), &numbered(1..=2)).await?;

    let hole = ship(&mut client, header("p", 8), &numbered(8..=9)).await.expect_err("3 to 7 are missing");
    let inside = [numbered(3..=3), numbered(5..=5)].concat();
    let inside = ship(&mut client, header("p", 3), &inside).await.expect_err("4 is missing");
    assert_eq!((hole.code(), inside.code()), (Code::FailedPrecondition, Code::FailedPrecondition));
    assert_eq!(Refusal::reason(&hole).as_deref(), Some("SEQUENCE_HOLE"));
    assert_eq!(Refusal::metadata_of(&hole, "expected").as_deref(), Some("3"));
    assert_eq!(Refusal::metadata_of(&inside, "expected").as_deref(), Some("4"));

    // 3 may be stored by now; from there on five are gone, and said to be.
    let declared = [vec![gap(4, &[(Level::Debug, 3), (Level::Error, 1)])], numbered(8..=9)].concat();
    let declared = [numbered(3..=3), declared].concat();
    let stored = ship(&mut client, header("p", 3), &declared).await?;
    let again = ship(&mut client, header("p", 3), &declared).await?;

    assert_eq!(stored.acknowledged_sequence, 9);
    assert_eq!(stored.stored + stored.duplicates, 4);
    assert_eq!((again.acknowledged_sequence, again.stored, again.duplicates), (9, 0, 4));
    assert_eq!((again.first_offset, again.last_offset), (0, 0));
    let rows = rows(&mut client).await?;
    let found: Vec<u64> = rows.iter().filter_map(|row| Some(row.record.as_ref()?.sequence)).collect();
    assert_eq!(found, [1, 2, 3, 4, 8, 9]);
    let lost = &rows[3].record.as_ref().context("a record")?.lost;
    let lost: Vec<(Level, u64)> = lost.iter().map(|lost| (lost.level(), lost.count)).collect();
    assert_eq!(lost, [(Level::Debug, 3), (Level::Error, 1)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_again_is_stored_once_also_after_a_crash_and_a_new_start_begins_anew() -> anyhow::Result<()> {
    let mut node = Node::start().await?;
    let mut client = node.client().await?;
    let first = ship(&mut client, header("p", 1), &numbered(1..=3)).await?;
    assert_eq!((first.stored, first.last_offset - first.first_offset), (3, 2));

    node.kill().await?;
    node.launch().await?;
    let mut client = node.client().await?;
    let again = ship(&mut client, header("p", 2), &numbered(2..=5)).await?;
    let reborn = ShipHeader { incarnation: 2, ..header("p", 1) };
    let reborn = ship(&mut client, reborn, &numbered(1..=2)).await?;

    assert_eq!((again.acknowledged_sequence, again.stored, again.duplicates), (5, 2, 2));
    assert_eq!((reborn.acknowledged_sequence, reborn.stored, reborn.duplicates), (2, 2, 0));
    let found: Vec<(u64, u64)> = rows(&mut client)
        .await?
        .iter()
        .filter_map(|row| Some((row.incarnation, row.record.as_ref()?.sequence)))
        .collect();
    assert_eq!(found, [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1), (2, 2)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_learns_how_far_it_is_stored() -> anyhow::Result<()> {
    let mut node = Node::start().await?;
    let mut client = node.client().await?;
    let state = |incarnation| ShipStateRequest { producer: "p".into(), incarnation };
    let unknown = client.ship_state(state(1)).await.expect_err("nobody shipped");
    ship(&mut client, header("p", 1), &numbered(1..=3)).await?;
    ship(&mut client, header("p", 4), &[gap(4, &[(Level::Info, 10)])]).await?;

    node.kill().await?;
    node.launch().await?;
    let mut client = node.client().await?;

    assert_eq!(client.ship_state(state(1)).await?.into_inner().acknowledged_sequence, 13);
    let other = client.ship_state(state(2)).await.expect_err("it is another start");
    for unknown in [unknown, other] {
        assert_eq!(unknown.code(), Code::NotFound);
        assert_eq!(Refusal::reason(&unknown).as_deref(), Some("PRODUCER_UNKNOWN"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shipment_without_records_is_answered_with_what_is_stored() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;

    let before = ship(&mut client, header("p", 1), &[]).await?;
    ship(&mut client, header("p", 1), &numbered(1..=4)).await?;
    let after = ship(&mut client, header("p", 5), &[]).await?;

    assert_eq!((before.acknowledged_sequence, before.stored), (0, 0));
    assert_eq!((after.acknowledged_sequence, after.stored, after.duplicates), (4, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_cannot_be_read_is_refused_by_the_name_of_the_field() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let wrong = [
        ("producer", ShipHeader { producer: String::new(), ..header("p", 1) }),
        ("producer", ShipHeader { producer: "x".repeat(65), ..header("p", 1) }),
        ("producer", ShipHeader { producer: "a b".into(), ..header("p", 1) }),
        ("service", ShipHeader { service: "s".repeat(64), ..header("p", 1) }),
        ("instance_id", ShipHeader { instance_id: "line\nfeed".into(), ..header("p", 1) }),
        ("incarnation", ShipHeader { incarnation: 0, ..header("p", 1) }),
        ("first_sequence", header("p", 2)),
    ];

    for (field, header) in wrong {
        let refusal = ship(&mut client, header, &numbered(1..=1)).await.expect_err(field);

        assert_eq!(refusal.code(), Code::InvalidArgument, "{field}: {refusal:?}");
        assert_eq!(Refusal::fields(&refusal)[0].0, field);
    }
    assert!(rows(&mut client).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_without_a_number_are_named_and_the_others_are_stored() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;

    let answer =
        ship(&mut client, header("p", 0), &[record(0, "zero"), record(1, "one"), gap(2, &[(Level::Info, 0)])]).await?;

    assert_eq!(
        (answer.stored, answer.refused.len(), answer.acknowledged_sequence),
        (2, 1, 2),
        "a gap of nothing is none"
    );
    assert!(answer.refused.iter().all(|refused| refused.sequence == 0 && !refused.reason.is_empty()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_records_are_cut_and_say_so_and_no_time_is_refused() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let long = LogRecord { time: time(0), ..record(1, &"é".repeat(200_000)) };
    let future = LogRecord { time: time(4_000_000_000), ..record(2, "in 2096") };
    let whole = record(3, &"x".repeat(256 * 1024));

    ship(&mut client, header("p", 1), &[long, future, whole]).await?;

    let rows = rows(&mut client).await?;
    let stored: Vec<&LogRecord> = rows.iter().filter_map(|row| row.record.as_ref()).collect();
    assert_eq!(stored.iter().map(|record| record.cut).collect::<Vec<_>>(), [true, false, false]);
    assert!(stored[0].message.len() <= 256 * 1024 && stored[0].message.len() > 250 * 1024);
    assert_eq!((stored[0].time, stored[1].time), (time(0), time(4_000_000_000)));
    assert_eq!(stored[2].message.len(), 256 * 1024);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_that_are_asked_for_come_with_the_next_acknowledgement() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let ask = |service: &str, levels: &str| RequestLevelsRequest {
        service: service.into(),
        levels: levels.into(),
        duration: None,
    };
    let told = async |client: &mut Client| -> anyhow::Result<String> {
        Ok(ship(client, header("p", 1), &[]).await?.hints.context("hints")?.levels)
    };

    assert_eq!(told(&mut client).await?, "");
    client.request_levels(ask("", "warn")).await?;
    assert_eq!(told(&mut client).await?, "warn");
    client.request_levels(ask("tests", "debug,h2=info")).await?;
    client.request_levels(ask("others", "trace")).await?;
    assert_eq!(told(&mut client).await?, "debug,h2=info");
    client.request_levels(ask("tests", "")).await?;
    client.request_levels(ask("", "")).await?;
    assert_eq!(told(&mut client).await?, "");

    let long = client.request_levels(ask("tests", &"x".repeat(1025))).await.expect_err("too long");
    assert_eq!((long.code(), Refusal::fields(&long)[0].0.as_str()), (Code::InvalidArgument, "levels"));
    let brief = RequestLevelsRequest {
        duration: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
        ..ask("tests", "trace")
    };
    client.request_levels(brief).await?;
    harness::eventually("it ends by itself", async || {
        let levels = told(&mut client.clone()).await?;
        anyhow::ensure!(levels.is_empty(), "{levels}");
        Ok(())
    })
    .await;
    Ok(())
}
