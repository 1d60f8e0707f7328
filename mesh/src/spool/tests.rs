//! What survives on disk, also when the disk or the process did not do well.

use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;

use proto::logs::Level;
use tempfile::TempDir;

use super::*;
use crate::chunk::{Counts, Filling};

fn owner(instance: &str) -> Owner {
    let (service, producer) = ("shop".to_owned(), instance.to_owned());
    Owner { service, instance: instance.to_owned(), producer, incarnation: 7, version: "1.0.0".to_owned() }
}

/// So many records, the first of this number.
fn chunk(first: u64, count: u64) -> Chunk {
    let mut filling = Filling::default();
    for sequence in first..first + count {
        filling.push(format!("\u{18}\u{9}\u{2a}\u{3}{:03}", sequence % 1000).as_bytes(), sequence, Level::Info);
    }
    filling.finish()
}

fn spool() -> (TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::create(folder.path(), &owner("a")).unwrap();
    (folder, spool)
}

/// What the next start finds, once the process that had it is gone.
fn orphan(folder: &TempDir, spool: Spool) -> Spool {
    drop(spool);
    let mut orphans = Spool::adopt(folder.path(), "shop");
    assert_eq!(orphans.len(), 1);
    orphans.remove(0)
}

fn ranges(chunks: &[Chunk]) -> Vec<(u64, u64)> {
    chunks.iter().map(|chunk| (chunk.first(), chunk.last())).collect()
}

fn file(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join("shop-a").join(name)
}

#[test]
fn the_next_start_finds_what_was_written_in_order() {
    let (folder, mut spool) = spool();
    let chunks = [chunk(1, 10), chunk(11, 5), chunk(16, 5)];
    spool.write_through(&chunks).unwrap();
    assert!(spool.seal(&chunks[0], 1 << 20).unwrap() && spool.seal(&chunks[1], 1 << 20).unwrap());

    let mut orphan = orphan(&folder, spool);

    assert_eq!(orphan.owner(), &owner("a"));
    assert_eq!(orphan.numbers(), 15);
    assert_eq!(orphan.read_first(), Some(chunks[0].clone()));
    orphan.remove_first();
    assert_eq!(orphan.read_first(), Some(chunks[1].clone()));
    assert_eq!(orphan.read_written().unwrap(), chunks[2..]);
    orphan.remove().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_frame_that_is_torn_at_any_byte_costs_itself_only() {
    let (folder, mut spool) = spool();
    spool.write_through(&[chunk(1, 3), chunk(4, 3)]).unwrap();
    let written = fs::read(file(&folder, "open")).unwrap();
    let second = written.len() - chunk(4, 3).bytes().len() - 32;

    for end in 0..written.len() {
        fs::write(file(&folder, "open"), &written[..end]).unwrap();
        let expected: &[(u64, u64)] = if end < second { &[] } else { &[(1, 3)] };
        assert_eq!(ranges(&spool.read_written().unwrap()), expected, "torn at {end}");
    }
}

#[test]
fn a_damaged_byte_costs_one_chunk_which_becomes_a_gap() {
    let (folder, mut spool) = spool();
    spool.write_through(&[chunk(1, 3), chunk(4, 3), chunk(7, 3)]).unwrap();
    let written = fs::read(file(&folder, "open")).unwrap();
    let head_of_second = written.len() / 3;

    for place in 0..written.len() {
        let mut damaged = written.clone();
        damaged[place] ^= 0x40;
        fs::write(file(&folder, "open"), &damaged).unwrap();
        let found = spool.read_written().unwrap();
        let whole = found.iter().filter(|found| found.counts().total() == 3 && found.records() == 3).count();
        if (head_of_second..head_of_second + 32).contains(&place) {
            // What follows on the damage is found again, so it is known what is missing.
            assert_eq!((ranges(&found), whole), (vec![(1, 3), (4, 6), (7, 9)], 2), "{place}");
            assert!(spool.unreadable() > 0);
        } else if found.len() == 3 {
            assert_eq!((ranges(&found), whole), (vec![(1, 3), (4, 6), (7, 9)], 2), "{place}");
        } else {
            // The head of the first or the last frame: the others are there, and it is known that something is not.
            assert!(spool.unreadable() > 0);
            assert_eq!(whole, found.len(), "{place}");
        }
    }
}

#[test]
fn a_damaged_file_is_a_gap_with_exact_counts_or_is_left_out() {
    let (folder, mut spool) = spool();
    let mut filling = Filling::default();
    filling.push(b"\x18\x11", 5, Level::Error);
    filling.push(b"\x18\x05", 6, Level::Debug);
    filling.push(b"\x18\x05", 7, Level::Debug);
    let first = filling.finish();
    assert!(spool.seal(&first, 1 << 20).unwrap() && spool.seal(&chunk(8, 2), 1 << 20).unwrap());
    let path = file(&folder, "00000000000000000005.chunk");
    let whole = fs::read(&path).unwrap();

    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let mut spool = orphan(&folder, spool);
    let gap = spool.read_first().unwrap();
    assert_eq!((gap.first(), gap.last(), gap.records(), gap.counts()), (5, 7, 1, first.counts()));

    let mut damaged = whole;
    damaged[20] ^= 1;
    fs::write(&path, damaged).unwrap();
    let mut spool = orphan(&folder, spool);
    assert_eq!(spool.read_first(), Some(chunk(8, 2)));
}

#[test]
fn files_never_weigh_more_than_they_may() {
    let (_folder, mut spool) = spool();
    let mut sealed = 0;

    for number in 0..100 {
        sealed += u32::from(spool.seal(&chunk(number * 100 + 1, 100), 4096).unwrap());
        assert!(spool.bytes() <= 4096);
    }

    assert!((1..100).contains(&sealed));
    spool.remove_through(100);
    assert!(spool.seal(&chunk(10_001, 10), 4096).unwrap());
}

#[test]
fn the_living_are_not_adopted_and_other_services_neither() {
    let (folder, spool) = spool();
    assert!(Spool::adopt(folder.path(), "shop").is_empty());

    drop(spool);

    assert!(Spool::adopt(folder.path(), "sho").is_empty());
    assert!(Spool::adopt(folder.path(), "shop-a").is_empty());
    assert_eq!(Spool::adopt(folder.path(), "shop").len(), 1);
}

#[test]
fn one_of_many_competitors_adopts() {
    for _ in 0..50 {
        let (folder, spool) = spool();
        drop(spool);
        let start = Barrier::new(4);
        let adopt = || {
            start.wait();
            Spool::adopt(folder.path(), "shop")
        };

        let adopted: Vec<Spool> = std::thread::scope(|scope| {
            let competitors: Vec<_> = (0..4).map(|_| scope.spawn(adopt)).collect();
            competitors.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });

        assert_eq!(adopted.len(), 1);
    }
}

#[test]
fn a_folder_that_is_being_made_or_removed_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..300 {
                Spool::create(folder.path(), &owner(&number.to_string())).unwrap().remove().unwrap();
            }
            made.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !made.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(Spool::adopt(folder.path(), "shop").is_empty());
        }
    });
}

#[test]
fn counts_of_what_is_missing_are_those_of_the_numbers() {
    let (folder, mut spool) = spool();
    spool.write_through(&[chunk(10, 20)]).unwrap();
    let mut written = fs::read(file(&folder, "open")).unwrap();
    *written.last_mut().unwrap() ^= 1;
    fs::write(file(&folder, "open"), written).unwrap();

    let found = spool.read_written().unwrap();

    assert_eq!(found[0].counts(), &Counts::unknown(20));
}
