//! The simulated disk loses what a real one may lose, and nothing else.

use super::*;

fn disk_with(path: &Path) -> (SimulatedDisk, Box<dyn DiskFile>) {
    let disk = SimulatedDisk::new(1);
    disk.create_folder(Path::new("f")).unwrap();
    let file = disk.create(path).unwrap();
    (disk, file)
}

/// What of two thousand crashes of the same disk is different.
fn outcomes(prepare: impl Fn() -> SimulatedDisk, path: &Path) -> BTreeSet<Option<Vec<u8>>> {
    (0..2_000).map(|seed| prepare().crash(&mut fastrand::Rng::with_seed(seed)).content(path)).collect()
}

#[test]
fn what_was_synced_outlives_a_power_loss() {
    let path = Path::new("f/a");
    let (disk, file) = disk_with(path);
    file.preallocate(1000).unwrap();
    file.write_at(b"safe", 5).unwrap();
    file.sync().unwrap();
    disk.sync_folder(Path::new("f")).unwrap();
    let after = disk.crash(&mut fastrand::Rng::with_seed(3));
    assert_eq!(&after.content(path).unwrap()[..10], b"\0\0\0\0\0safe\0");
    assert_eq!(after.used(), 1000);
}

#[test]
fn unsynced_writes_are_kept_lost_or_torn_in_any_order() {
    let path = Path::new("f/a");
    let prepare = || {
        let (disk, file) = disk_with(path);
        file.set_len(1024).unwrap();
        file.sync().unwrap();
        disk.sync_folder(Path::new("f")).unwrap();
        file.write_at(&[1; 1024], 0).unwrap();
        file.write_at(&[2; 1], 0).unwrap();
        disk
    };
    let seen: BTreeSet<_> = outcomes(prepare, path).into_iter().flatten().map(|c| (c[0], c[1], c[1023])).collect();
    let halves = [(0, 0), (0, 1), (1, 0), (1, 1)];
    let firsts = halves.iter().flat_map(|(a, b)| [(*a, *a, *b), (2, *a, *b)]).collect();
    assert_eq!(seen, firsts, "each sector of each write for itself, the second write with or without the first");
}

#[test]
fn names_are_durable_in_order_after_the_folder_is_synced() {
    let (disk, _) = disk_with(Path::new("f/a"));
    let seed_names = |seed| {
        let (disk, _) = disk_with(Path::new("f/a"));
        disk.rename(Path::new("f/a"), Path::new("f/b")).unwrap();
        disk.create(Path::new("f/c")).unwrap();
        disk.crash(&mut fastrand::Rng::with_seed(seed)).list(Path::new("f")).unwrap()
    };
    let seen: BTreeSet<Vec<String>> = (0..200).map(seed_names).collect();
    let expected = [vec![], vec!["a"], vec!["b"], vec!["b", "c"]];
    assert_eq!(seen, expected.iter().map(|names| names.iter().map(|n| (*n).to_owned()).collect()).collect());

    disk.sync_folder(Path::new("f")).unwrap();
    disk.remove(Path::new("f/a")).unwrap();
    disk.sync_folder(Path::new("f")).unwrap();
    assert!(disk.crash(&mut fastrand::Rng::with_seed(1)).list(Path::new("f")).unwrap().is_empty());
}

#[test]
fn a_killed_process_loses_nothing_until_the_power_fails() {
    let path = Path::new("f/a");
    let killed = || {
        let (disk, file) = disk_with(path);
        disk.sync_folder(Path::new("f")).unwrap();
        file.write_at(b"x", 0).unwrap();
        disk.kill()
    };
    assert_eq!(killed().content(path).unwrap(), b"x");
    assert_eq!(outcomes(killed, path), [Some(vec![]), Some(vec![b'x'])].into());
}

#[test]
fn after_a_failed_sync_the_next_one_saves_nothing() {
    let path = Path::new("f/a");
    let prepare = || {
        let disk = SimulatedDisk::new(fastrand::u64(..));
        disk.create_folder(Path::new("f")).unwrap();
        let file = disk.create(path).unwrap();
        disk.sync_folder(Path::new("f")).unwrap();
        file.write_at(b"x", 0).unwrap();
        disk.fail(Operation::Sync, 1, io::ErrorKind::Other);
        file.sync().unwrap_err();
        file.sync().unwrap();
        assert_eq!(disk.content(path).unwrap(), b"x", "it is read all the same");
        disk
    };
    assert_eq!(outcomes(prepare, path), [Some(vec![]), Some(vec![b'x'])].into());
}

#[test]
fn a_crashed_disk_answers_nobody() {
    let (disk, file) = disk_with(Path::new("f/a"));
    let lock = disk.lock(Path::new("f/lock")).unwrap();
    assert_eq!(disk.lock(Path::new("f/lock")).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let after = disk.kill();
    after.lock(Path::new("f/lock")).unwrap();
    file.write_at(b"ghost", 0).unwrap_err();
    file.sync().unwrap_err();
    disk.create(Path::new("f/b")).unwrap_err();
    drop(lock);
    assert_eq!(after.content(Path::new("f/a")).unwrap(), b"");
}

#[test]
fn a_full_disk_says_so_until_something_is_removed() {
    let (disk, file) = disk_with(Path::new("f/a"));
    disk.set_capacity(100);
    file.preallocate(60).unwrap();
    let second = disk.create(Path::new("f/b")).unwrap();
    assert_eq!(second.preallocate(60).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(second.write_at(&[1; 60], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(disk.used() <= 100);
    file.write_at(&[1; 60], 0).unwrap();
    disk.remove(Path::new("f/a")).unwrap();
    second.preallocate(100).unwrap();
}

#[test]
fn the_nth_operation_fails_once() {
    let (disk, file) = disk_with(Path::new("f/a"));
    disk.fail(Operation::Write, 2, io::ErrorKind::BrokenPipe);
    file.write_at(b"1", 0).unwrap();
    assert_eq!(file.write_at(b"2", 1).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    file.write_at(b"3", 2).unwrap();
    disk.flip(Path::new("f/a"), 2, 1);
    assert_eq!(disk.content(Path::new("f/a")).unwrap()[2], b'3' ^ 1);
}
