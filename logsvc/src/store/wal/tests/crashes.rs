//! Power losses, killed processes, full and failing disks, at random and at every single operation.

use super::*;

const SMALL: u64 = 16 << 10;

/// What the files owe.
#[derive(Debug, Default)]
struct Ledger {
    confirmed: Vec<Commit>,
    /// Everything below may be gone.
    released: u64,
    /// Tried since the last confirmed one, and maybe written.
    unconfirmed: Vec<Commit>,
}

impl Ledger {
    fn next_offset(&self) -> u64 {
        self.confirmed.last().map_or(0, Commit::end)
    }

    fn append(&mut self, wal: &mut Wal, commit: Commit) -> Result<(), AppendError> {
        let appended = commit.append_to(wal);
        match &appended {
            Ok(()) => {
                self.confirmed.push(commit);
                self.unconfirmed.clear();
            }
            Err(_) => self.unconfirmed.push(commit),
        }
        appended
    }

    fn release(&mut self, wal: &mut Wal, before: u64) -> Result<(), AppendError> {
        self.released = self.released.max(before);
        wal.release(before)
    }

    /// Everything that is owed, once, in order, and at most one more at the end, which is owed from now on.
    fn audit(&mut self, damage: &[Damage], mut replayed: Vec<Commit>) {
        assert_eq!(damage, [], "no disk rots here");
        let extra = replayed.pop_if(|last| last.first_offset >= self.next_offset());
        let gone = self.confirmed.len().checked_sub(replayed.len()).expect("nothing twice, nothing invented");
        assert_eq!(replayed, self.confirmed[gone..]);
        assert!(
            self.confirmed[..gone].iter().all(|commit| commit.end() <= self.released),
            "only released ones are gone"
        );
        if let Some(extra) = extra {
            assert!(self.unconfirmed.contains(&extra), "nothing is invented");
            self.confirmed.push(extra);
        }
        self.unconfirmed.clear();
    }

    fn reopen(&mut self, disk: &SimulatedDisk, file_bytes: u64) -> Wal {
        let (wal, damage, replayed) = open(disk, file_bytes).unwrap();
        self.audit(&damage, replayed);
        assert_eq!(wal.next_offset(), self.next_offset().max(wal.next_offset()));
        wal
    }
}

fn crash(disk: &SimulatedDisk, rng: &mut fastrand::Rng) -> SimulatedDisk {
    if rng.bool() { disk.kill() } else { disk.crash(rng) }
}

/// Sizes from nothing to 300 KiB, the large ones rare.
fn longest(rng: &mut fastrand::Rng) -> usize {
    [100, 100, 3_000, 3_000, 20_000, 300 << 10][rng.usize(0..6)]
}

fn work(wal: &mut Wal, ledger: &mut Ledger, rng: &mut fastrand::Rng) {
    for _ in 0..rng.usize(1..25) {
        let longest = longest(rng);
        let commit = Commit::random(ledger.next_offset(), longest, rng);
        let failed_before = wal.failed.is_some();
        let appended = ledger.append(wal, commit);
        assert!(!failed_before || matches!(appended, Err(AppendError::Sync(_))), "a failed sync is final");
        if rng.u8(0..6) == 0 {
            let before = rng.u64(ledger.released..=ledger.next_offset());
            ledger.release(wal, before).ok();
        }
    }
}

fn break_something(disk: &SimulatedDisk, rng: &mut fastrand::Rng) {
    use Operation::*;
    let operations = [Create, Open, Rename, Remove, SyncFolder, Preallocate, Write, SetLen, Sync];
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other];
    for _ in 0..rng.usize(0..4) {
        disk.fail(operations[rng.usize(0..operations.len())], rng.u64(1..12), kinds[rng.usize(0..2)]);
    }
    if rng.bool() {
        disk.stop_after(rng.u64(0..60));
    }
}

/// One life of a log: several starts, each ended by a crash.
fn live(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut disk = SimulatedDisk::new(seed);
    let mut ledger = Ledger::default();
    let file_bytes = [SMALL, SMALL, 100 << 10, 1 << 20][rng.usize(0..4)];
    for _ in 0..rng.usize(2..7) {
        let mut wal = ledger.reopen(&disk, file_bytes);
        break_something(&disk, &mut rng);
        work(&mut wal, &mut ledger, &mut rng);
        disk = crash(&disk, &mut rng);
        if rng.bool() {
            // A start that fails, or is itself cut off by a crash.
            break_something(&disk, &mut rng);
            if let Ok((_, damage, replayed)) = open(&disk, file_bytes) {
                ledger.audit(&damage, replayed);
            }
            disk = crash(&disk, &mut rng);
        }
    }
    ledger.reopen(&disk, file_bytes);
}

#[test]
fn what_was_confirmed_outlives_every_crash() {
    for seed in 0..150 {
        println!("seed {seed}");
        live(seed);
    }
}

/// Fills files, frees them and uses them again.
fn routine(wal: &mut Wal, ledger: &mut Ledger, disk: &SimulatedDisk) {
    for number in 0..14_u64 {
        let payload = vec![number as u8 + 1; if number == 9 { 20_000 } else { 3_500 }];
        let commit = Commit { first_offset: ledger.next_offset(), count: 3, payload };
        ledger.append(wal, commit).ok();
        if number % 5 == 4 {
            let before = ledger.next_offset();
            ledger.release(wal, before).ok();
        }
        if disk.has_stopped() {
            return;
        }
    }
}

#[test]
fn what_was_confirmed_outlives_a_crash_at_every_operation() {
    for operations in 0.. {
        println!("after {operations} operations");
        let mut complete = false;
        for seed in 0..8 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let disk = SimulatedDisk::new(seed);
            let mut ledger = Ledger::default();
            // Without space for a spare file, the freed ones are used again.
            disk.set_capacity(if seed < 3 { u64::MAX } else { 2 * SMALL });
            disk.stop_after(operations);
            if let Ok((mut wal, _, _)) = open(&disk, SMALL) {
                routine(&mut wal, &mut ledger, &disk);
            }
            complete = !disk.has_stopped();
            let mut disk = if seed % 2 == 0 { disk.kill() } else { disk.crash(&mut rng) };
            ledger.reopen(&disk, SMALL);
            disk = disk.crash(&mut rng);
            let mut wal = ledger.reopen(&disk, SMALL);
            routine(&mut wal, &mut ledger, &disk);
            ledger.reopen(&disk.crash(&mut rng), SMALL);
        }
        if complete {
            assert!(operations > 50);
            return;
        }
    }
}

#[test]
fn a_full_disk_refuses_commits_until_files_are_released() {
    let disk = SimulatedDisk::new(1);
    let mut ledger = Ledger::default();
    disk.set_capacity(4 * SMALL + 1000);
    let mut wal = ledger.reopen(&disk, SMALL);
    let mut rng = fastrand::Rng::with_seed(1);
    let error = loop {
        let commit = Commit::random(ledger.next_offset(), 3000, &mut rng);
        if let Err(error) = ledger.append(&mut wal, commit) {
            break error;
        }
    };
    let AppendError::Write(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(wal.files.len(), 4, "the spare file was used before");

    let small = Commit { first_offset: ledger.next_offset(), count: 1, payload: vec![] };
    ledger.append(&mut wal, small).unwrap();
    let before = wal.files[1].first_offset;
    ledger.release(&mut wal, before).unwrap();
    let commit = Commit { first_offset: ledger.next_offset(), count: 1, payload: vec![1; 3000] };
    ledger.append(&mut wal, commit).unwrap();
    ledger.reopen(&disk.crash(&mut rng), SMALL);
}

#[test]
fn a_failed_write_leaves_no_trace_and_a_failed_sync_ends_everything() {
    (0..30).for_each(fail_write_then_sync);
}

fn fail_write_then_sync(seed: u64) {
    let disk = SimulatedDisk::new(seed);
    let mut ledger = Ledger::default();
    let mut wal = ledger.reopen(&disk, SMALL);
    let commit = |payload| Commit { first_offset: 0, count: 1, payload };
    ledger.append(&mut wal, commit(b"a first one, to make the file".to_vec())).unwrap();
    let commit = |payload| Commit { first_offset: 1, count: 1, payload };
    disk.fail(Operation::Write, 1, io::ErrorKind::Other);
    ledger.append(&mut wal, commit(vec![1; 2000])).unwrap_err();
    ledger.append(&mut wal, commit(b"short".to_vec())).unwrap();

    disk.fail(Operation::Sync, 1, io::ErrorKind::Other);
    let last = Commit { first_offset: 2, count: 1, payload: vec![2; 2000] };
    assert!(matches!(ledger.append(&mut wal, last.clone()), Err(AppendError::Sync(_))));
    assert!(matches!(ledger.append(&mut wal, last.clone()), Err(AppendError::Sync(_))));
    assert!(matches!(wal.release(0), Err(AppendError::Sync(_))));

    // The process starts anew and reads from the page cache what is not on the disk; a power loss must not take it back.
    let disk = disk.kill();
    ledger.reopen(&disk, SMALL);
    assert_eq!(ledger.confirmed.last(), Some(&last));
    ledger.reopen(&disk.crash(&mut fastrand::Rng::with_seed(seed)), SMALL);
}

/// A frame as a failed write may leave it: whole, but nobody was told of it.
fn write_unconfirmed(wal: &Wal, commit: &Commit, generation: Generation) {
    let active = wal.active.as_ref().unwrap();
    let mut bytes = Vec::new();
    let Commit { first_offset, count, payload } = commit;
    Frame { first_offset: *first_offset, count: *count, payload }.encode(generation, &mut bytes);
    active.file.write_at(&bytes, active.position).unwrap();
    active.file.sync().unwrap();
}

#[test]
fn a_commit_that_failed_and_went_into_the_next_file_is_replayed_once() {
    let disk = SimulatedDisk::new(1);
    let mut ledger = Ledger::default();
    let mut wal = ledger.reopen(&disk, SMALL);
    let commit = |first_offset, count, bytes| Commit { first_offset, count, payload: vec![5; bytes] };
    ledger.append(&mut wal, commit(0, 4, 9_000)).unwrap();
    write_unconfirmed(&wal, &commit(4, 9, 1_000), wal.active.as_ref().unwrap().generation);
    ledger.append(&mut wal, commit(4, 5, 10_000)).unwrap();
    ledger.append(&mut wal, commit(9, 1, 10)).unwrap();
    ledger.reopen(&disk, SMALL);
}

#[test]
fn a_frame_of_another_generation_is_none() {
    let disk = SimulatedDisk::new(1);
    let mut ledger = Ledger::default();
    let mut wal = ledger.reopen(&disk, SMALL);
    let commit = |first_offset| Commit { first_offset, count: 1, payload: vec![5; 100] };
    ledger.append(&mut wal, commit(0)).unwrap();
    write_unconfirmed(&wal, &commit(1), Generation::random());
    ledger.reopen(&disk, SMALL);
    assert_eq!(ledger.confirmed.len(), 1);
}
