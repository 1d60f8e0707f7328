//! What the statistics say: what is stored, who speaks, who fell silent, who lost what.

use std::time::Duration;

use anyhow::Context as _;
use harness::logs::{Client, Node, shipment};
use proto::logs::{GetStatisticsRequest, GetStatisticsResponse, Level, LevelCount, LogRecord, ShipHeader, Speaker};
use tokio::time::Instant;

use super::{header, record};

/// A living producer is heard more often; the log service waits 30 s before it calls one silent.
const SILENCE: Duration = Duration::from_secs(60);

async fn statistics(client: &mut Client) -> anyhow::Result<GetStatisticsResponse> {
    Ok(client.get_statistics(GetStatisticsRequest {}).await?.into_inner())
}

async fn speaker(client: &mut Client, instance: &str) -> anyhow::Result<Speaker> {
    let speakers = statistics(client).await?.speakers;
    speakers.into_iter().find(|speaker| speaker.instance_id == instance).with_context(|| instance.to_owned())
}

fn sent(ahead: Duration) -> Option<prost_types::Timestamp> {
    jiff::Timestamp::now().checked_add(ahead).ok().map(mesh::timestamp)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_count_what_is_stored_and_what_came_again() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let records: Vec<LogRecord> = (1..=10).map(|sequence| record(sequence, "x")).collect();
    let before = statistics(&mut client).await?.storage.context("storage")?;

    client.ship(shipment(header("p", 1), &records)).await?;
    client.ship(shipment(header("p", 1), &records)).await?;

    let after = statistics(&mut client).await?.storage.context("storage")?;
    assert!(after.end_offset >= before.end_offset + 10 && after.stored >= before.stored + 10, "{after:?}");
    assert_eq!(after.duplicates, 10);
    assert_eq!((after.quarantined, after.disk_full, after.searches, after.tails), (0, false, 0, 0));
    assert!(after.wal_bytes > 0 && after.first_received.is_some() && after.retention_bytes > 0, "{after:?}");
    assert!(after.sync_p99.is_some_and(|p99| p99.seconds > 0 || p99.nanos > 0), "{after:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_say_whose_clock_is_off_who_lost_records_and_who_fell_silent() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut client = node.client().await?;
    let lost = [(Level::Info, 30), (Level::Warn, 2)].map(|(level, count)| LevelCount { level: level.into(), count });
    let gap = LogRecord { sequence: 2, lost: lost.to_vec(), ..Default::default() };

    let ahead = ShipHeader { sent: sent(Duration::from_secs(90)), ..header("ahead", 1) };
    client.ship(shipment(ahead, &[record(1, "x"), gap])).await?;
    let mute = ShipHeader { sent: sent(Duration::ZERO), ..header("mute", 1) };
    client.ship(shipment(mute, &[])).await?;
    let posthumous = ShipHeader { last_words: true, ..header("posthumous", 1) };
    client.ship(shipment(posthumous, &[record(1, "x")])).await?;

    let ahead = speaker(&mut client, "ahead").await?;
    assert_eq!(ahead.lost, lost);
    let skew = ahead.clock_skew.context("a skew")?.seconds;
    assert!((80..=90).contains(&skew), "{skew}");
    assert!(ahead.stored >= 1 && ahead.rate > 0.0 && ahead.last_spoke.is_some() && !ahead.silent, "{ahead:?}");
    let mute = speaker(&mut client, "mute").await?;
    assert!(mute.last_heard.is_some() && mute.last_spoke.is_none() && !mute.silent, "{mute:?}");
    assert!(speaker(&mut client, "posthumous").await.is_ok_and(|dead| dead.stored == 1));

    let began = Instant::now();
    while !speaker(&mut client, "ahead").await?.silent {
        anyhow::ensure!(began.elapsed() < SILENCE, "nobody noticed");
        // One goes on saying that it lives, with nothing to say.
        client.ship(shipment(header("mute", 1), &[])).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(!speaker(&mut client, "mute").await?.silent);
    Ok(())
}
