//! A full disk, and a damaged one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use harness::logs::{Client, Node, everything, shipment, verify};
use harness::{binaries, eventually, skip};
use mesh::Refusal;
use proto::logs::{Filter, GetStatisticsRequest, LogRecord, Storage};
use tonic::{Code, Status};

use super::{header, record};

/// Room for four write-ahead files and a little more.
const DISK: &str = "size=160m";

/// Records of one segment, which is sealed when it has them.
const SEGMENT: u64 = 128 * 2048;

/// A file system of its own in memory, for whoever may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join("disk");
        std::fs::create_dir(&path)?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&path).output();
        let worked = mounted.is_ok_and(|output| output.status.success());
        Ok(worked.then_some(Self(path)))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the log service may still be ending.
        let _still_there = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

async fn storage(client: &mut Client) -> anyhow::Result<Storage> {
    client.get_statistics(GetStatisticsRequest {}).await?.into_inner().storage.context("storage")
}

async fn ship(client: &mut Client, first: u64, records: &[LogRecord]) -> Result<u64, Status> {
    Ok(client.ship(shipment(header("p", first), records)).await?.into_inner().acknowledged_sequence)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_keeps_everything_readable_and_goes_on_by_itself() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(folder.path())? else {
        skip::skip("a_full_disk_refuses_and_keeps_everything_readable_and_goes_on_by_itself", "run it as root");
        return Ok(());
    };
    let mut node = Node::new(&binaries::build()?)?.data_in(disk.0.join("logs"));
    node.launch().await?;
    let mut client = node.client().await?;
    ship(&mut client, 1, &[record(1, "before")]).await?;
    let ballast = disk.0.join("ballast");
    fill(&ballast)?;

    // What is reserved already still takes some.
    let large = "x".repeat(200_000);
    let mut next = 2;
    let refusal = loop {
        let records: Vec<LogRecord> = (next..next + 10).map(|sequence| record(sequence, &large)).collect();
        match ship(&mut client, next, &records).await {
            Ok(acknowledged) => next = acknowledged + 1,
            Err(refusal) => break refusal,
        }
        anyhow::ensure!(next < 5000, "a gigabyte fitted in");
    };

    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
    assert_eq!(Refusal::reason(&refusal).as_deref(), Some("DISK_FULL"));
    assert!(Refusal::retry_delay(&refusal).is_some_and(|delay| delay > Duration::ZERO), "{refusal:?}");
    assert!(storage(&mut client).await?.disk_full);
    assert_eq!(stored(&mut client).await?, next - 1, "what was acknowledged is readable");

    std::fs::remove_file(ballast)?;
    eventually("it goes on by itself", async || Ok(ship(&mut client.clone(), next, &[record(next, "after")]).await?))
        .await;
    assert!(!storage(&mut client).await?.disk_full);
    node.kill().await?;
    node.launch().await?;
    assert_eq!(stored(&mut node.client().await?).await?, next);
    node.stop().await
}

/// Writes until nothing more fits.
fn fill(ballast: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(ballast)?;
    for size in [1 << 20, 4096] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
    Ok(())
}

/// How many records of the tests are stored: numbers without a hole.
async fn stored(client: &mut Client) -> anyhow::Result<u64> {
    let rows = everything(client, Filter { services: vec!["tests".into()], ..Default::default() }).await?;
    for (row, sequence) in rows.iter().zip(1..) {
        let found = row.record.as_ref().map(|record| record.sequence);
        anyhow::ensure!(found == Some(sequence), "{found:?} in the place of {sequence}");
    }
    Ok(rows.len() as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_a_flipped_byte_in_a_sealed_segment_and_what_is_whole_stays_readable() -> anyhow::Result<()> {
    let mut node = Node::start().await?;
    let mut client = node.client().await?;
    let records: Vec<LogRecord> = (1..=SEGMENT).map(|sequence| record(sequence, "small")).collect();
    for chunk in records.chunks(20_000) {
        ship(&mut client, chunk[0].sequence, chunk).await?;
    }
    eventually("a segment is sealed", async || {
        anyhow::ensure!(storage(&mut client.clone()).await?.segments == 1);
        Ok(())
    })
    .await;
    let (_, whole) = verify(&mut client).await?;
    assert_eq!((whole.findings, whole.records >= SEGMENT), (0, true), "{whole:?}");

    let segments = node.data().join("segments");
    let sealed = std::fs::read_dir(&segments)?.flatten().map(|entry| entry.path());
    let segment = sealed.filter(|path| path.extension().is_some_and(|end| end == "seg")).min().context("a segment")?;
    flip(&segment)?;

    let (files, done) = verify(&mut client).await?;
    let damaged: Vec<_> = files.iter().filter(|file| !file.findings.is_empty()).collect();
    assert_eq!(damaged.len(), 1, "{files:?}");
    assert!(damaged[0].name.ends_with(segment.file_name().and_then(|name| name.to_str()).context("a name")?));
    assert!(done.findings > 0);
    // One block is gone, and says so in its place.
    let rows = everything(&mut client, Filter::default()).await?;
    let gaps: Vec<_> =
        rows.iter().filter(|row| row.record.as_ref().is_some_and(|record| !record.lost.is_empty())).collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(rows.len() as u64 >= SEGMENT - 2048, "{}", rows.len());
    node.stop().await
}

/// Changes one bit in the first half, where blocks are.
fn flip(file: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    Ok(std::fs::write(file, bytes)?)
}
