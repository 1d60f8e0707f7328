//! What is true of the store, across crashes.

use std::io::Write as _;

use proto::logs::{Level, LevelCount, LogRecord};

use super::*;

fn source(producer: &str) -> Arc<Source> {
    Arc::new(Source::parse("productsvc".into(), producer.into(), producer.into(), 1).unwrap())
}

fn records(source: &Arc<Source>, sequences: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let record = |sequence| LogRecord {
        sequence,
        message: format!("record {sequence}"),
        level: Level::Info.into(),
        ..Default::default()
    };
    sequences.map(|sequence| Entry::record(source.clone(), record(sequence))).collect()
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_sent_twice_is_stored_once_also_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/app.log");
    let source = source("p1");

    let store = Store::open(&path).unwrap();
    let first = store.append(source.clone(), records(&source, 1..=5)).await.unwrap();
    let again = store.append(source.clone(), records(&source, 3..=7)).await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(&path).unwrap();
    let after = store.append(source.clone(), records(&source, 6..=9)).await.unwrap();

    assert_eq!(first, Stored { acknowledged: 5, stored: 5, duplicates: 0 });
    assert_eq!(again, Stored { acknowledged: 7, stored: 2, duplicates: 3 });
    assert_eq!(after, Stored { acknowledged: 9, stored: 2, duplicates: 2 });
    assert_eq!(lines(&path).len(), 9);
    assert_eq!(store.recent().read(0, 100).entries.len(), 9, "tails go back before the restart");
}

#[tokio::test]
async fn a_hole_is_refused_and_a_declared_one_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let source = source("p1");
    let store = Store::open(&path).unwrap();
    store.append(source.clone(), records(&source, 1..=2)).await.unwrap();

    let refused = store.append(source.clone(), records(&source, 6..=7)).await;
    let gap = proto::logs::Gap { first_sequence: 3, lost: vec![LevelCount { level: Level::Debug.into(), count: 3 }] };
    let mut entries = vec![Entry::gap(source.clone(), &gap)];
    entries.extend(records(&source, 6..=7));
    let stored = store.append(source, entries).await.unwrap();

    assert_eq!(refused, Err(Error::SequenceHole { expected: 3 }));
    assert_eq!(stored.acknowledged, 7);
    assert!(lines(&path)[2].contains("3 log records were lost here: 3 DEBUG"), "{:?}", lines(&path));
}

#[tokio::test]
async fn a_line_torn_by_a_crash_is_cut_off_and_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let source = source("p1");
    let store = Store::open(&path).unwrap();
    store.append(source.clone(), records(&source, 1..=3)).await.unwrap();
    store.close().await.unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"2026-11-23T23:05:11.123456Z INFO  productsvc/p1#4 productsvc: half a li").unwrap();

    let store = Store::open(&path).unwrap();
    let stored = store.append(source.clone(), records(&source, 4..=4)).await.unwrap();

    assert_eq!(stored, Stored { acknowledged: 4, stored: 1, duplicates: 0 });
    assert_eq!(lines(&path).len(), 4);
}

#[tokio::test]
async fn a_file_of_somebody_else_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear Sir,\nyours").unwrap();

    assert!(Store::open(&path).is_err());

    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Dear Sir,\nyours");
}

#[tokio::test]
async fn what_is_acknowledged_is_in_a_file_also_after_someone_removed_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let source = source("p1");
    let store = Store::open(&path).unwrap();
    store.append(source.clone(), records(&source, 1..=3)).await.unwrap();

    std::fs::remove_file(&path).unwrap();
    store.append(source.clone(), records(&source, 4..=5)).await.unwrap();

    assert_eq!(lines(&path).len(), 2);
}

#[tokio::test]
async fn two_log_services_do_not_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let _first = Store::open(&path).unwrap();

    assert!(Store::open(&path).is_err());
}

#[tokio::test]
async fn many_producers_are_committed_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let store = Store::open(&path).unwrap();

    let appends = (0..50).map(|n| {
        let source = source(&format!("p{n}"));
        store.append(source.clone(), records(&source, 1..=20))
    });
    for stored in futures_util::future::join_all(appends).await {
        assert_eq!(stored.unwrap().stored, 20);
    }

    assert_eq!(lines(&path).len(), 1000);
}
