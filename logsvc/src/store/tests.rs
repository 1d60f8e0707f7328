//! The store against a simple model of it: appended to, crashed, reopened, asked and cut at random, on a disk that fails.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;

use super::disk::simulated::{Operation, SimulatedDisk};
use super::*;
use crate::entry::{Entry, Producer, normalise};
use crate::filter::Filter;
use crate::samples;

mod damage;

const FOLDER: &str = "/log";

/// Blocks and segments that a few hundred records fill.
fn small() -> Policy {
    Policy {
        block_records: 16,
        segment_blocks: 4,
        keep_bytes: u64::MAX,
        wal_file_bytes: 64 * 1024,
        ..Default::default()
    }
}

fn open(disk: &SimulatedDisk, policy: &Policy) -> std::io::Result<Store> {
    Store::open(Arc::new(disk.clone()), Path::new(FOLDER), policy.clone())
}

fn source(name: &str) -> Arc<Source> {
    Arc::new(Source::parse("tests".into(), name.into(), name.into(), 1).unwrap())
}

fn everything(store: &Store) -> Vec<Entry> {
    let (mut entries, mut from) = (Vec::new(), 0);
    loop {
        let chunk = store.read(from, 100);
        entries.extend(chunk.entries);
        if chunk.next == from {
            return entries;
        }
        from = chunk.next;
    }
}

/// What producers know: what they sent, and how much of it was acknowledged.
#[derive(Default)]
struct Model {
    sent: HashMap<Producer, Vec<LogRecord>>,
    acknowledged: HashMap<Producer, u64>,
}

impl Model {
    /// Records from some acknowledged one on: what is sent again, and what is new.
    fn next(&mut self, random: &mut Rng, source: &Source) -> Vec<LogRecord> {
        let sent = self.sent.entry(source.producer.clone()).or_default();
        let acknowledged = self.acknowledged.get(&source.producer).copied().unwrap_or(0);
        let fresh = random.usize(..30);
        for _ in 0..fresh {
            let next = sent.last().map_or(1, |last| entry_end(last) + 1);
            sent.push(samples::record(random, next));
        }
        // A producer that lost an answer sends again what it holds, and sometimes more than it has to.
        let from = acknowledged.saturating_sub(random.u64(..3));
        sent.iter().filter(|record| entry_end(record) > from).cloned().collect()
    }

    /// Whether the store has what it acknowledged, each record once, in order and as it was sent.
    fn check(&mut self, store: &Store) {
        let entries = everything(store);
        assert!(entries.windows(2).all(|pair| pair[0].offset + 1 == pair[1].offset), "offsets follow one another");
        let mut last: HashMap<&Producer, u64> = HashMap::new();
        for entry in &entries {
            let producer = &entry.source.producer;
            let sent = self.sent[producer].iter().find(|sent| sent.sequence == entry.record.sequence);
            assert_eq!(Some(&entry.record), sent, "as it was sent");
            if let Some(last) = last.insert(producer, entry_end(&entry.record)) {
                assert_eq!(entry.record.sequence, last + 1, "each once and none left out");
            }
        }
        for (producer, acknowledged) in &mut self.acknowledged {
            let stored = last.get(producer).copied().unwrap_or(0);
            assert!(stored >= *acknowledged || store.view().start() > 1, "{producer:?} lost {stored}..{acknowledged}");
            *acknowledged = stored.max(*acknowledged);
        }
    }
}

fn entry_end(record: &LogRecord) -> u64 {
    crate::entry::last_sequence(record)
}

async fn append(store: &Store, model: &mut Model, random: &mut Rng) {
    let source = source(["a", "b", "c"][random.usize(..3)]);
    let records = model.next(random, &source);
    if let Ok(stored) = store.append(source.clone(), records).await {
        let acknowledged = model.acknowledged.entry(source.producer.clone()).or_default();
        assert!(stored.acknowledged >= *acknowledged);
        *acknowledged = stored.acknowledged;
    }
}

/// Asks what the model knows too.
fn query(store: &Store, random: &mut Rng) {
    let message = proto::logs::Filter { words: vec![samples::word(random).into()], ..Default::default() };
    let filter = Filter::parse(Some(message)).unwrap();
    let view = store.view();
    let expected: Vec<u64> =
        everything(store).iter().filter(|entry| filter.matches(entry)).map(|entry| entry.offset).collect();
    let (mut found, mut from) = (Vec::new(), 0);
    while from < view.end() {
        let chunk = view.read(from, 7, &filter);
        found.extend(chunk.entries.iter().map(|entry| entry.offset));
        from = chunk.next;
    }
    assert_eq!(found, expected);
}

fn fault(disk: &SimulatedDisk, random: &mut Rng) {
    let operation = [
        Operation::Create,
        Operation::Rename,
        Operation::SyncFolder,
        Operation::Preallocate,
        Operation::Write,
        Operation::Sync,
        Operation::Remove,
    ][random.usize(..7)];
    let kind = if random.bool() { std::io::ErrorKind::StorageFull } else { std::io::ErrorKind::Other };
    disk.fail(operation, random.u64(1..20), kind);
}

async fn live(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let (mut disk, mut model) = (SimulatedDisk::new(seed), Model::default());
    for _ in 0..random.usize(2..6) {
        let Ok(store) = open(&disk, &small()) else {
            // A fault met the start: what is there must be there for the next one.
            disk.heal();
            disk = disk.crash(&mut random);
            continue;
        };
        model.check(&store);
        if random.u32(..3) == 0 {
            fault(&disk, &mut random);
        }
        for _ in 0..random.usize(..40) {
            append(&store, &mut model, &mut random).await;
            if random.u32(..10) == 0 {
                query(&store, &mut random);
            }
        }
        disk.heal();
        let next = match random.u32(..3) {
            0 => disk.kill(),
            1 => disk.crash(&mut random),
            _ => {
                store.clone().close().await.unwrap();
                disk.clone()
            }
        };
        // Threads of a store whose disk is gone end by themselves.
        store.close().await.unwrap();
        disk = next;
    }
    let store = open(&disk, &small()).unwrap();
    model.check(&store);
    let done = verify(&(Arc::new(disk.clone()) as Arc<dyn Disk>), Path::new(FOLDER), &mut |file| {
        assert_eq!(file.findings, Vec::<String>::new(), "seed {seed}: {}", file.name);
    });
    assert_eq!(done.unwrap().records, everything(&store).len() as u64);
    store.close().await.unwrap();
}

#[tokio::test]
async fn whatever_happens_nothing_acknowledged_is_lost_and_nothing_is_stored_twice() {
    for seed in 0..60 {
        println!("seed {seed}");
        live(seed).await;
    }
}

#[tokio::test]
async fn a_failed_sync_ends_all_promises() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk, &small()).unwrap();
    disk.fail(Operation::Sync, 1, std::io::ErrorKind::Other);
    let mut random = Rng::with_seed(1);

    let first = store.append(source("a"), vec![samples::record(&mut random, 1)]).await;
    let second = store.append(source("a"), vec![samples::record(&mut random, 1)]).await;

    assert_eq!((first, second), (Err(Error::StorageFailed), Err(Error::StorageFailed)));
    assert!(store.failed().is_cancelled());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk, &small()).unwrap();
    let mut random = Rng::with_seed(1);
    disk.set_capacity(disk.used() + 200_000);
    let mut next = 1;
    let mut fill = async |store: &Store| {
        for _ in 0..2000 {
            let record = LogRecord {
                sequence: next,
                message: random.alphanumeric().to_string().repeat(2000),
                ..Default::default()
            };
            store.append(source("a"), vec![record]).await?;
            next += 1;
        }
        Ok(())
    };

    assert_eq!(fill(&store).await, Err(Error::DiskFull));
    let stored = everything(&store).len() as u64;
    assert!(stored > 10);
    disk.set_capacity(u64::MAX);
    assert_eq!(fill(&store).await, Ok(()));

    assert!(!store.condition().disk_full.load(std::sync::atomic::Ordering::Relaxed));
    let sequences: Vec<u64> = everything(&store).iter().map(|entry| entry.record.sequence).collect();
    assert_eq!(sequences, (1..=stored + 2000).collect::<Vec<u64>>());
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_oldest_segments_go_and_marks_outlive_them() {
    let policy = Policy { keep_bytes: 300_000, ..small() };
    let disk = SimulatedDisk::new(1);
    let mut random = Rng::with_seed(1);
    let store = open(&disk, &policy).unwrap();
    let early = vec![samples::record(&mut random, 1)];
    store.append(source("early"), early.clone()).await.unwrap();
    for number in 0..400 {
        let records = (0..10).map(|n| samples::record(&mut random, 1 + number * 100 + n)).map(without_lost).collect();
        store.append(source(&format!("p{number}")), records).await.unwrap();
    }
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        while store.view().start() == 1 {
            tokio::task::yield_now().await;
        }
    });
    ended.await.unwrap();
    store.close().await.unwrap();

    let store = open(&disk, &policy).unwrap();
    let again = store.append(source("early"), early).await.unwrap();

    assert_eq!((again.stored, again.duplicates), (0, 1));
    let chunk = store.read(1, 5);
    assert_eq!(chunk.removed, Some(1..store.view().start()));
    assert!(chunk.entries.first().is_some_and(|first| first.offset == store.view().start()));
    store.close().await.unwrap();
}

fn without_lost(mut record: LogRecord) -> LogRecord {
    record.lost.clear();
    normalise(&mut record, samples::TODAY);
    record
}

#[tokio::test]
async fn a_second_store_in_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(real(), folder.path(), Policy::default()).unwrap();

    let second = Store::open(real(), folder.path(), Policy::default());

    assert_eq!(second.map(|_| ()).map_err(|error| error.kind()), Err(std::io::ErrorKind::AddrInUse));
    store.close().await.unwrap();
}
