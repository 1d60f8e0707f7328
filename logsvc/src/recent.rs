//! The latest entries in memory, from which tails are served by offset.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::entry::Entry;

/// How many entries are kept at most, and what they may weigh together. A reader
/// that is further behind is told how many it missed.
pub(crate) const KEPT: usize = 4096;
const KEPT_BYTES: usize = 8 * 1024 * 1024;

/// The latest entries, oldest first, each with an offset that rises by one.
#[derive(Debug)]
pub(crate) struct Recent {
    entries: Mutex<Entries>,
    /// The offset after the newest entry; readers wait for it to move.
    end: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Entries {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

/// Entries from an offset on.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) entries: Vec<Arc<Entry>>,
    /// How many before them are no longer kept.
    pub(crate) skipped: u64,
    /// Where to read on.
    pub(crate) next: u64,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::default(), end: watch::Sender::new(0) }
    }

    /// Adds entries that are on disk.
    pub(crate) fn push(&self, new: impl IntoIterator<Item = Entry>) {
        let mut kept = self.lock();
        let mut added = 0;
        for entry in new {
            kept.bytes += entry.weight();
            kept.entries.push_back(Arc::new(entry));
            added += 1;
            while kept.entries.len() > KEPT || kept.bytes > KEPT_BYTES {
                let Some(oldest) = kept.entries.pop_front() else { break };
                kept.bytes -= oldest.weight();
            }
        }
        // Moved under the lock, so that offsets and entries always agree.
        self.end.send_modify(|end| *end += added);
    }

    /// At most `most` entries from `offset` on.
    pub(crate) fn read(&self, offset: u64, most: usize) -> Read {
        let kept = self.lock();
        let entries = &kept.entries;
        let end = *self.end.borrow();
        let first = end - entries.len() as u64;
        let from = offset.max(first);
        let index = usize::try_from(from - first).unwrap_or(usize::MAX);
        let read: Vec<Arc<Entry>> = entries.iter().skip(index).take(most).cloned().collect();
        Read { next: from + read.len() as u64, skipped: from - offset, entries: read }
    }

    /// The offset after the newest entry, as it moves.
    pub(crate) fn end(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// The offset from which exactly the last `count` matching entries follow.
    pub(crate) fn offset_of_last(&self, count: usize, matches: impl Fn(&Entry) -> bool) -> u64 {
        let kept = self.lock();
        let entries = &kept.entries;
        let end = *self.end.borrow();
        if count == 0 {
            return end;
        }
        let mut found = entries.iter().rev().enumerate().filter(|(_, entry)| matches(entry));
        match found.nth(count - 1) {
            Some((back, _)) => end - back as u64 - 1,
            None => end - entries.len() as u64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Source;
    use proto::logs::LogRecord;

    fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
        let source = Arc::new(Source::parse("s".into(), "i".into(), "p".into(), 1).unwrap());
        range.map(|sequence| Entry::record(source.clone(), LogRecord { sequence, ..Default::default() })).collect()
    }

    #[test]
    fn a_reader_gets_everything_from_its_offset_on() {
        let recent = Recent::new();
        recent.push(entries(0..10));

        let read = recent.read(4, 3);

        assert_eq!(read.entries.iter().map(|entry| entry.record.sequence).collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!((read.skipped, read.next), (0, 7));
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told_how_much_it_missed() {
        let recent = Recent::new();
        for start in (0..3 * KEPT as u64).step_by(1000) {
            recent.push(entries(start..start + 1000));
        }
        let end = *recent.end().borrow();

        let read = recent.read(10, usize::MAX);

        assert_eq!(read.entries.len(), KEPT);
        assert_eq!(read.skipped, end - KEPT as u64 - 10);
        assert_eq!(read.next, end);
    }

    #[test]
    fn heavy_entries_are_kept_within_their_bytes() {
        let recent = Recent::new();
        for mut entry in entries(0..100) {
            entry.record.message = "x".repeat(200_000);
            recent.push([entry]);
        }

        let read = recent.read(0, usize::MAX);

        assert!(read.entries.iter().map(|entry| entry.weight()).sum::<usize>() <= KEPT_BYTES);
        assert_eq!(read.skipped + read.entries.len() as u64, 100);
        assert_eq!(read.next, 100);
    }

    #[test]
    fn the_last_matching_ones_are_found() {
        let recent = Recent::new();
        recent.push(entries(0..100));

        assert_eq!(recent.offset_of_last(3, |entry| entry.record.sequence % 10 == 0), 70);
        assert_eq!(recent.offset_of_last(1000, |_| true), 0);
        assert_eq!(recent.offset_of_last(0, |_| true), 100);
    }
}
