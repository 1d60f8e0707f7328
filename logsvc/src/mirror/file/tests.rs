//! Every point at which a process may die, and what others may do to the file.

use tempfile::TempDir;

use super::*;

fn line(n: u64) -> String {
    format!("2026-11-23T23:05:11.123456Z INFO  tests/i1#{n} tests: record {n}\n")
}

fn lines(range: std::ops::Range<u64>) -> String {
    range.map(line).collect()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn place(&self) -> Place {
        let file = |name: &str| self.0.path().join(name);
        Place { file: file("app.log"), cursor: file("mirror.cursor"), limit: 1000 }
    }

    fn open(&self, end: u64) -> AppLog {
        AppLog::open(&self.place(), end).unwrap().log
    }

    /// Goes on up to `end`, as the thread does.
    fn catch_up(&self, end: u64) {
        let mut log = self.open(end);
        log.append(&lines(log.next()..end), end).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.place().file).unwrap()
    }

    fn append(&self, text: &str) {
        OpenOptions::new().append(true).open(self.place().file).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn a_kill_at_any_point_yields_each_line_once() {
    let folder = Folder::new();
    let place = folder.place();
    folder.catch_up(3);
    let (before, cursor) = (folder.text().len(), fs::read(&place.cursor).unwrap());
    folder.catch_up(6);
    let whole = fs::read(&place.file).unwrap();

    for torn in before..=whole.len() {
        fs::write(&place.file, &whole[..torn]).unwrap();
        fs::write(&place.cursor, &cursor).unwrap();

        folder.catch_up(7);

        assert_eq!(folder.text(), lines(1..7), "killed after {torn} bytes");
    }
}

#[test]
fn a_kill_during_rotation_yields_each_line_once() {
    let folder = Folder::new();
    let place = folder.place();
    folder.catch_up(5);
    let cursor = fs::read(&place.cursor).unwrap();

    fs::rename(&place.file, rotated(&place.file)).unwrap();
    folder.catch_up(6);
    assert_eq!(folder.text(), lines(5..6), "renamed, the new one not yet there");

    fs::write(&place.file, "").unwrap();
    fs::write(&place.cursor, &cursor).unwrap();
    folder.catch_up(6);
    assert_eq!(folder.text(), lines(5..6), "the new one there, the cursor of the old one");
}

#[test]
fn what_others_wrote_stays() {
    let folder = Folder::new();
    let place = folder.place();
    folder.catch_up(3);
    let cursor = fs::read(&place.cursor).unwrap();
    let mut log = folder.open(3);

    folder.append("a note");
    log.append(&line(3), 4).unwrap();
    folder.append("another\nlast");
    drop(log);
    fs::write(&place.cursor, &cursor).unwrap();
    folder.catch_up(4);

    let expected = lines(1..3) + "a note\nanother\nlast\n" + &line(3);
    assert_eq!(folder.text(), expected);
}

#[test]
fn a_file_that_is_taken_away_is_begun_anew() {
    let folder = Folder::new();
    let place = folder.place();
    let mut log = folder.open(9);
    log.append(&lines(1..3), 3).unwrap();

    fs::remove_file(&place.file).unwrap();
    log.append(&line(3), 4).unwrap();
    assert_eq!(folder.text(), line(3));

    fs::rename(&place.file, place.file.with_extension("kept")).unwrap();
    log.append(&line(4), 5).unwrap();
    assert_eq!(folder.text(), line(4));

    fs::write(&place.file, "").unwrap();
    log.append(&line(5), 6).unwrap();
    assert_eq!(folder.text(), line(5), "emptied in place");

    drop(log);
    fs::remove_file(&place.file).unwrap();
    folder.catch_up(7);
    assert_eq!(folder.text(), line(6));
}

#[test]
fn a_full_file_becomes_the_one_before() {
    let folder = Folder::new();
    let mut log = folder.open(100);
    for n in 1..40 {
        log.append(&line(n), n + 1).unwrap();
    }

    let before = fs::read_to_string(rotated(&folder.place().file)).unwrap();
    let first: u64 = 40 - (before + &folder.text()).lines().count() as u64;
    let before = fs::read_to_string(rotated(&folder.place().file)).unwrap();
    assert!(before.len() <= 1000 && before.len() > 900 && folder.text().len() <= 1000);
    assert_eq!(before + &folder.text(), lines(first..40));
}

#[test]
fn without_a_cursor_it_begins_at_the_beginning_or_goes_on_at_the_end() {
    let folder = Folder::new();
    assert_eq!(folder.open(50).next(), 1, "the first start");
    folder.catch_up(3);

    let place = folder.place();
    fs::write(&place.cursor, "nonsense").unwrap();
    let Opened { log, note } = AppLog::open(&place, 50).unwrap();
    assert_eq!(log.next(), 50);
    assert!(note.is_some_and(|note| note.contains("goes on at offset 50")));

    let Opened { log, note } = AppLog::open(&place, 9).unwrap();
    assert_eq!((log.next(), note.is_some()), (9, true), "a log that was replaced");

    fs::remove_file(&place.cursor).unwrap();
    fs::remove_file(&place.file).unwrap();
    assert_eq!(folder.open(50).next(), 1, "both are gone: everything is derived again");
}

#[test]
fn what_a_power_loss_took_from_the_file_is_told() {
    let folder = Folder::new();
    folder.catch_up(5);
    let half = folder.text().len() / 2;
    OpenOptions::new().write(true).open(folder.place().file).unwrap().set_len(half as u64).unwrap();

    let Opened { log, note } = AppLog::open(&folder.place(), 9).unwrap();

    assert_eq!(log.next(), 5);
    assert!(note.is_some_and(|note| note.starts_with(&format!("{half} bytes of this file are gone"))));
    assert!(folder.text().ends_with('\n'));
}
