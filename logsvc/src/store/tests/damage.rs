//! Damage is said where it is, and everything else stays readable.

use super::*;

const RECORDS: u64 = 300;

/// A log with several segments, some blocks and an open end, that is not in use.
async fn written(disk: &SimulatedDisk) -> Vec<Entry> {
    let mut random = Rng::with_seed(9);
    let store = open(disk, &small()).unwrap();
    for sequence in 1..=RECORDS {
        let record = without_lost(samples::record(&mut random, sequence));
        store.append(source("a"), vec![record]).await.unwrap();
    }
    let entries = everything(&store);
    store.close().await.unwrap();
    entries
}

fn files(disk: &SimulatedDisk, part: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(FOLDER).join(part);
    disk.list(&folder).unwrap().into_iter().map(|name| folder.join(name)).collect()
}

fn findings(disk: &SimulatedDisk) -> u64 {
    verify(&(Arc::new(disk.clone()) as Arc<dyn Disk>), Path::new(FOLDER), &mut |_| {}).unwrap().findings
}

#[tokio::test]
async fn a_flipped_byte_anywhere_in_a_segment_is_found_and_hides_no_more_than_its_block() {
    let disk = SimulatedDisk::new(1);
    let entries = written(&disk).await;
    let segment =
        files(&disk, "segments").into_iter().find(|path| path.extension().is_some_and(|end| end == "seg")).unwrap();
    let length = disk.content(&segment).unwrap().len() as u64;
    assert_eq!(findings(&disk), 0);
    for place in (0..length).step_by(97) {
        let disk = disk.copy();
        disk.flip(&segment, place, 0x10);

        assert!(findings(&disk) > 0, "byte {place}");
        let store = open(&disk, &small()).unwrap();
        let read = everything(&store);
        let gaps = read.iter().filter(|entry| entry.source.instance == "storage").count();
        let lost = entries.len() - read.iter().filter(|entry| entries.contains(entry)).count();
        // Bits of the filters can hide a match of a search, which reads everything here; the rest is one block or the file.
        assert!(lost == 0 || gaps > 0 || read[0].offset > 1, "byte {place}: {lost} lost without a word");
        assert!(lost <= 64, "byte {place}: {lost}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_write_ahead_file_becomes_a_gap_in_its_place() {
    let disk = SimulatedDisk::new(1);
    let mut policy = small();
    // Nothing is sealed: all of it is in write-ahead files.
    policy.segment_blocks = 1000;
    let mut random = Rng::with_seed(9);
    let store = open(&disk, &policy).unwrap();
    for sequence in 1..=RECORDS {
        store.append(source("a"), vec![without_lost(samples::record(&mut random, sequence))]).await.unwrap();
    }
    let entries = everything(&store);
    store.close().await.unwrap();
    let wal = files(&disk, "wal").into_iter().find(|path| !path.ends_with("spare.wal")).unwrap();
    disk.flip(&wal, 20_000, 0x10);

    assert!(findings(&disk) > 0);
    let store = open(&disk, &policy).unwrap();
    let read = everything(&store);

    let gap = read.iter().find(|entry| entry.source.instance == "storage").unwrap();
    let lost = entries.len() - read.iter().filter(|entry| entries.contains(entry)).count();
    assert_eq!(gap.record.lost.iter().map(|lost| lost.count).sum::<u64>(), lost as u64);
    assert_eq!(store.condition().quarantined.load(std::sync::atomic::Ordering::Relaxed), 1);
    let stored =
        store.append(source("a"), vec![without_lost(samples::record(&mut random, RECORDS + 1))]).await.unwrap();
    assert_eq!(stored.last_offset, RECORDS + 1);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_segment_of_a_later_version_is_refused_in_words() {
    let disk = SimulatedDisk::new(1);
    written(&disk).await;
    let segment = files(&disk, "segments").remove(0);
    disk.flip(&segment, 8, 0x40);

    let error = open(&disk, &small()).unwrap_err();

    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 65"), "{error}");
}

/// Everything, a few entries at a time, as a reader of pages would.
fn paged(store: &Store, most: usize, filter: &Filter) -> Vec<Entry> {
    let (mut entries, mut from, end) = (Vec::new(), 0, store.view().end());
    for _ in 0..2 * RECORDS {
        let chunk = store.view().read(from, most, filter);
        entries.extend(chunk.entries);
        from = chunk.next;
        if from >= end {
            return entries;
        }
    }
    panic!("reading did not come to the end: {from}")
}

#[tokio::test]
async fn a_segment_that_is_put_aside_leaves_a_gap_and_reading_goes_on_after_it() {
    let disk = SimulatedDisk::new(1);
    let entries = written(&disk).await;
    let mut segments = files(&disk, "segments");
    let segment = segments.remove(1);
    let length = disk.content(&segment).unwrap().len() as u64;
    disk.flip(&segment, length - 20, 0x10);

    let store = open(&disk, &small()).unwrap();
    let word = proto::logs::Filter { words: vec!["nowhere".into()], ..Default::default() };
    for (most, filter) in [(1, Filter::default()), (7, Filter::default()), (1, Filter::parse(Some(word)).unwrap())] {
        let read = paged(&store, most, &filter);
        let gaps: Vec<&Entry> = read.iter().filter(|entry| entry.source.instance == "storage").collect();
        let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
        assert_eq!(gap.record.lost.iter().map(|lost| lost.count).sum::<u64>(), gap.end() - gap.offset);
        if filter.hashes().is_empty() {
            let lost = entries.iter().filter(|entry| !read.contains(entry)).count() as u64;
            assert_eq!(lost, gap.end() - gap.offset);
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn filters_that_are_damaged_hide_nothing() {
    let disk = SimulatedDisk::new(1);
    let entries = written(&disk).await;
    for segment in files(&disk, "segments") {
        let length = disk.content(&segment).unwrap().len() as u64;
        // Somewhere in the middle of the file the filters begin; the footer is far shorter than they are.
        for place in length / 2..length - 2500 {
            disk.flip(&segment, place, 0xff);
        }
    }
    let store = open(&disk, &small()).unwrap();
    let wanted = &entries[5].record;
    let filter = proto::logs::Filter { trace_id: wanted.trace_id.clone(), ..Default::default() };

    let found = paged(&store, 5, &Filter::parse(Some(filter)).unwrap());

    let is_found = |entry: &Entry| entry.record.sequence == wanted.sequence || entry.source.instance == "storage";
    assert!(found.iter().any(is_found));
    store.close().await.unwrap();
}
