//! Names, sizes and refusals, on the disk of this machine.

use std::fs;

use super::*;

const SMALL: u64 = 20 << 10;

fn open_real(folder: &Path) -> (Wal, Vec<Damage>, Vec<Commit>) {
    open_at(Arc::new(RealDisk), folder, SMALL).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    RealDisk.list(folder).unwrap()
}

/// Three files with three commits each.
fn filled(folder: &Path) -> (Wal, Vec<Commit>) {
    let (mut wal, _, _) = open_real(folder);
    let commits: Vec<_> = (0..9).map(|n| Commit { first_offset: n * 10, count: 10, payload: vec![7; 4000] }).collect();
    commits.iter().for_each(|commit| commit.append_to(&mut wal).unwrap());
    (wal, commits)
}

#[test]
fn what_was_confirmed_is_replayed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (wal, commits) = filled(folder.path());
    assert_eq!(wal.next_offset(), 90);
    drop(wal);
    let (wal, damage, replayed) = open_real(folder.path());
    assert_eq!((damage, replayed, wal.next_offset()), (vec![], commits, 90));
}

#[test]
fn files_are_named_by_their_first_offset_and_have_their_whole_size() {
    let folder = tempfile::tempdir().unwrap();
    let (wal, _) = filled(folder.path());
    let expected = ["00000000000000000000.wal", "00000000000000000030.wal", "00000000000000000060.wal", "spare.wal"];
    assert_eq!(names(folder.path()), expected);
    for name in expected {
        assert_eq!(fs::metadata(folder.path().join(name)).unwrap().len(), SMALL, "{name}");
    }
    assert_eq!(wal.bytes(), 4 * SMALL);
}

#[test]
fn release_frees_what_lies_below_and_never_the_newest_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, commits) = filled(folder.path());
    wal.release(29).unwrap();
    assert_eq!(names(folder.path()).len(), 4);
    wal.release(30).unwrap();
    assert_eq!(names(folder.path()), ["00000000000000000030.wal", "00000000000000000060.wal", "spare.wal"]);
    wal.release(u64::MAX).unwrap();
    assert_eq!(names(folder.path()), ["00000000000000000060.wal", "spare.wal"]);
    assert_eq!(wal.bytes(), 2 * SMALL);
    drop(wal);
    assert_eq!(open_real(folder.path()).2, commits[6..]);
}

#[test]
fn a_file_is_used_again_and_its_old_frames_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, _) = filled(folder.path());
    fs::remove_file(folder.path().join("spare.wal")).unwrap();
    drop(wal);
    // No spare file can be made while its name is taken by a folder; then the oldest file becomes the spare one.
    fs::create_dir(folder.path().join("spare.wal")).unwrap();
    wal = open_real(folder.path()).0;
    fs::remove_dir(folder.path().join("spare.wal")).unwrap();
    wal.release(30).unwrap();
    wal.append(90, 10, &[8; 4000]).unwrap();
    let content = fs::read(folder.path().join("00000000000000000090.wal")).unwrap();
    assert!(content[SMALL as usize / 2..].contains(&7), "the old frames are still in it");
    drop(wal);
    let (wal, damage, replayed) = open_real(folder.path());
    assert!(damage.is_empty());
    assert_eq!(replayed.iter().map(|commit| commit.first_offset).collect::<Vec<_>>(), [30, 40, 50, 60, 70, 80, 90]);
    assert_eq!(wal.next_offset(), 100);
}

#[test]
fn a_commit_larger_than_a_file_gets_a_file_of_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, _, _) = open_real(folder.path());
    let first = Commit { first_offset: 0, count: 1, payload: vec![1; 50_000] };
    let second = Commit { first_offset: 1, count: 1, payload: vec![2; 60_000] };
    let third = Commit { first_offset: 2, count: 1, payload: vec![3; 70] };
    let commits = [first, second, third];
    commits.iter().for_each(|commit| commit.append_to(&mut wal).unwrap());
    assert_eq!(names(folder.path()).len(), 4);
    drop(wal);
    let (mut wal, damage, replayed) = open_real(folder.path());
    assert_eq!((damage.as_slice(), replayed.as_slice()), ([].as_slice(), commits.as_slice()));
    wal.release(3).unwrap();
    assert_eq!(wal.bytes(), 2 * SMALL, "a file of another size is not kept");
}

#[test]
fn an_empty_file_grows_for_a_large_commit() {
    let disk = SimulatedDisk::new(1);
    let (mut wal, _, _) = open(&disk, SMALL).unwrap();
    disk.fail(Operation::Write, 2, io::ErrorKind::Other);
    assert!(matches!(wal.append(5, 1, b"lost"), Err(AppendError::Write(_))));
    wal.append(5, 1, &[1; 50_000]).unwrap();
    assert_eq!(open(&disk, SMALL).unwrap().2.len(), 1);
    assert!(disk.list(&path_of("quarantine")).is_err(), "nothing is put aside");
}

#[test]
fn offsets_may_be_skipped_but_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, mut commits) = filled(folder.path());
    for (first_offset, count) in [(89, 10), (90, 0), (u64::MAX, 1)] {
        let Err(AppendError::Write(error)) = wal.append(first_offset, count, b"") else { panic!("{first_offset}") };
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    for first_offset in [1000, 2000, 3000, 4000] {
        commits.push(Commit { first_offset, count: 1, payload: vec![1; 4000] });
        commits.last().unwrap().append_to(&mut wal).unwrap();
    }
    drop(wal);
    let (_, damage, replayed) = open_real(folder.path());
    assert_eq!((damage, replayed), (vec![], commits));
}

#[test]
fn a_newer_format_is_refused_in_clear_words() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let path = folder.path().join("00000000000000000030.wal");
    let mut content = fs::read(&path).unwrap();
    for copy in [0, 4096] {
        content[copy + 8] = 2;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&content[copy..copy + 12]), &content[copy + 16..copy + 64]);
        content[copy + 12..copy + 16].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(&path, content).unwrap();
    let error = open_at(Arc::new(RealDisk), folder.path(), SMALL).unwrap_err();
    assert_eq!(
        error.to_string(),
        "00000000000000000030.wal is in format 2 of write-ahead files and this program knows 1: start a newer program"
    );
}

#[test]
fn an_error_of_the_reader_ends_the_replay() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let opened = Wal::open(Arc::new(RealDisk), folder.path(), FILE_BYTES, &mut |_| Err(io::Error::other("enough")));
    assert_eq!(opened.unwrap_err().to_string(), "enough");
}

#[test]
fn files_of_the_real_size_are_opened_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, _) = Wal::open(Arc::new(RealDisk), folder.path(), FILE_BYTES, &mut |_| Ok(())).unwrap();
    wal.append(0, 1, b"x").unwrap();
    assert_eq!(wal.bytes(), 2 * FILE_BYTES);
}

#[test]
fn a_check_reports_each_file_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let broken = folder.path().join("00000000000000000030.wal");
    let mut content = fs::read(&broken).unwrap();
    content[0] ^= 1;
    content[8192 + 100] ^= 1;
    fs::write(&broken, &content).unwrap();
    let newest = folder.path().join("00000000000000000060.wal");
    let mut torn = fs::read(&newest).unwrap();
    torn[8192 + 2 * 4024 + 3000] ^= 1;
    fs::write(&newest, &torn).unwrap();

    let reports = check(&RealDisk, folder.path()).unwrap();
    let summary: Vec<_> =
        reports.iter().map(|report| (report.first_offset, report.last_offset, report.frames, report.bytes)).collect();
    assert_eq!(summary, [(0, Some(29), 3, SMALL), (30, Some(59), 2, SMALL), (60, Some(79), 2, SMALL)]);
    assert!(reports[0].findings.is_empty());
    let findings = [
        "the records from 30 up to 40 (exclusive) in 00000000000000000030.wal are lost.",
        "One copy of the header is broken; the other one is used.",
    ];
    assert_eq!(reports[1].findings, findings);
    assert!(reports[2].findings.is_empty(), "a torn tail of the newest file is none");
    assert_eq!((fs::read(&broken).unwrap(), fs::read(&newest).unwrap()), (content, torn));
}
