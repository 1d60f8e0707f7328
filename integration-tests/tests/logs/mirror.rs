//! `app.log`: each record once, whatever happens to the log service or to the file.

use std::io::Write as _;

use harness::eventually;
use harness::system::{Options, Role, System};
use proto::logs::ship_request::Part;
use proto::logs::{Level, LogRecord, RecordBatch, ShipHeader, ShipRequest};

async fn system() -> anyhow::Result<System> {
    let mut system = System::prepare(Options::default())?;
    system.launch(Role::Registry).await?;
    system.launch(Role::Logs).await?;
    system.ready().await;
    Ok(system)
}

/// Ships records of `tests/p1` with these sequence numbers, until they are acknowledged.
async fn ship(system: &System, sequences: std::ops::RangeInclusive<u64>) {
    let header = ShipHeader {
        producer: "p1".into(),
        incarnation: 1,
        first_sequence: *sequences.start(),
        service: "tests".into(),
        instance_id: "p1".into(),
        ..Default::default()
    };
    let record = |sequence| LogRecord {
        sequence,
        level: Level::Info.into(),
        target: "tests::mirror".into(),
        message: format!("record {sequence}"),
        ..Default::default()
    };
    let batch = RecordBatch { records: sequences.map(record).collect() };
    let parts = [Part::Header(header), Part::Batch(batch)].map(|part| ShipRequest { part: Some(part) });
    eventually("it is stored", async || {
        system.logs().ship(tokio_stream::iter(parts.clone())).await?;
        Ok(())
    })
    .await;
}

/// The sequence numbers of `tests/p1`, as they stand in the file.
fn mirrored(system: &System) -> Vec<u64> {
    let log = system.app_log();
    let sequences = log.lines().filter_map(|line| line.split_once(" tests/p1#")?.1.split(' ').next()?.parse().ok());
    sequences.collect()
}

/// Waits until the last line is of this record.
async fn until(system: &System, last: u64) {
    eventually("app.log has caught up", async || {
        let found = mirrored(system);
        anyhow::ensure!(found.last() == Some(&last), "{:?}", found.last());
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_in_app_log_once_however_often_the_log_service_is_killed() -> anyhow::Result<()> {
    let mut system = system().await?;
    for n in 0..6 {
        ship(&system, n * 500 + 1..=(n + 1) * 500).await;
        // It is writing them just now, more or less.
        tokio::time::sleep(std::time::Duration::from_millis(n)).await;
        system.kill(Role::Logs).await?;
        system.launch(Role::Logs).await?;
    }

    until(&system, 3000).await;
    assert_eq!(mirrored(&system), (1..=3000).collect::<Vec<u64>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_log_may_be_removed_moved_and_written_to_by_others() -> anyhow::Result<()> {
    let mut system = system().await?;
    let path = system.folder().join("data/app.log");
    ship(&system, 1..=3).await;
    until(&system, 3).await;

    std::fs::rename(&path, path.with_extension("kept"))?;
    ship(&system, 4..=6).await;
    until(&system, 6).await;
    assert_eq!(mirrored(&system), [4, 5, 6]);

    std::fs::OpenOptions::new().append(true).open(&path)?.write_all(b"a note without an end")?;
    ship(&system, 7..=8).await;
    until(&system, 8).await;
    system.stop(Role::Logs).await?;
    system.launch(Role::Logs).await?;
    ship(&system, 9..=9).await;
    until(&system, 9).await;
    assert_eq!(mirrored(&system), [4, 5, 6, 7, 8, 9]);
    assert_eq!(system.app_log().lines().filter(|line| *line == "a note without an end").count(), 1);

    std::fs::remove_file(&path)?;
    ship(&system, 10..=10).await;
    until(&system, 10).await;
    assert_eq!(mirrored(&system), [10]);
    Ok(())
}
