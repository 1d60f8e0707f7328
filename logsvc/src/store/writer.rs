//! The thread that commits: judges what is new, writes one frame for all who wait, and answers them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Instant;

use prost::Message as _;
use proto::logs::LogRecord;
use tokio::sync::mpsc;

use super::commit::{Batch, Commit};
use super::condition::Condition;
use super::head::Head;
use super::marks::{Mark, Marks, Verdict};
use super::sealer::weight_of;
use super::wal::{AppendError, Wal};
use super::{Append, Stored, Work};
use crate::entry::{self, Entry, weight};
use crate::error::Error;

/// Records that are committed together at most, by what they weigh in memory.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// Producers are forgotten at this pace, in commits.
const PRUNE_EVERY: u32 = 10_000;

/// Writes the log. Owned by its thread.
pub(super) struct Writer {
    pub(super) wal: Wal,
    pub(super) marks: Marks,
    pub(super) next_offset: u64,
    pub(super) head: Arc<Head>,
    pub(super) condition: Arc<Condition>,
    /// To the thread that encodes blocks. When it is behind, committing waits for it.
    pub(super) encoder: Sender<Vec<Arc<Vec<Entry>>>>,
    pub(super) frame: Vec<u8>,
    pub(super) commits: u32,
}

/// One append that is part of a commit.
struct Judged {
    append: Append,
    result: Result<Stored, Error>,
    /// The producer's mark before, in case the commit fails.
    mark: Option<Mark>,
}

impl Writer {
    /// Writes until it is told to end, or nobody can append any more.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Work>) {
        while let Some(first) = waiting.blocking_recv() {
            let received = entry::now();
            let mut commit = Commit { received, batches: Vec::new() };
            let (mut judged, mut bytes) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(work) = next {
                match work {
                    Work::Append(append) => judged.push(self.judge(append, &mut commit, &mut bytes)),
                    // What was sent before is still received.
                    Work::End => waiting.close(),
                }
                next = if bytes < COMMIT_BYTES { waiting.try_recv().ok() } else { None };
            }
            self.commit(judged, commit);
        }
    }

    /// Decides what of an append is new, and adds that to the commit.
    fn judge(&mut self, mut append: Append, commit: &mut Commit, bytes: &mut usize) -> Judged {
        let producer = append.source.producer.clone();
        let mark = self.marks.of(&producer);
        let mut stored = Stored::default();
        let mut result = Ok(());
        let mut fresh = Vec::with_capacity(append.records.len());
        for record in std::mem::take(&mut append.records) {
            match self.marks.judge(&producer, &record) {
                Ok(Verdict::Duplicate) => stored.duplicates += 1,
                Ok(Verdict::Store) => fresh.push(self.take(&append, record, commit.received, bytes)),
                Err(hole) => {
                    result = Err(hole);
                    break;
                }
            }
        }
        if !fresh.is_empty() {
            stored.first_offset = self.next_offset + commit.count() as u64;
            stored.stored = fresh.len() as u64;
            stored.last_offset = stored.first_offset + stored.stored - 1;
            commit.batches.push(Batch::of(&append.source, fresh));
        }
        stored.acknowledged = self.marks.of(&producer).map_or(0, |mark| mark.sequence);
        Judged { append, result: result.map(|()| stored), mark }
    }

    fn take(&mut self, append: &Append, mut record: LogRecord, received: i64, bytes: &mut usize) -> LogRecord {
        let stored = self.marks.of(&append.source.producer).map_or(0, |mark| mark.sequence);
        entry::trim_gap(&mut record, stored);
        self.marks.advance(&append.source.producer, &record, received);
        entry::normalise(&mut record, received);
        *bytes += weight(&record);
        record
    }

    /// Forces the commit to disk and answers whoever waits.
    fn commit(&mut self, judged: Vec<Judged>, commit: Commit) {
        let outcome = self.write(&commit);
        if outcome.is_ok() {
            self.publish(commit);
        } else {
            // In reverse, so that a producer with several appends ends where it began.
            for judged in judged.iter().rev() {
                self.marks.restore(&judged.append.source.producer, judged.mark);
            }
        }
        for Judged { append, result, .. } in judged {
            if let (Ok(()), Ok(stored)) = (&outcome, &result) {
                self.condition.stored.fetch_add(stored.stored, Ordering::Relaxed);
                self.condition.duplicates.fetch_add(stored.duplicates, Ordering::Relaxed);
            }
            // One that hung up learns from its duplicates when it sends again.
            let _gone = append.reply.send(outcome.clone().and(result));
        }
        self.maintain();
    }

    fn write(&mut self, commit: &Commit) -> Result<(), Error> {
        let count = commit.count();
        if count == 0 {
            return Ok(());
        }
        if self.condition.too_much_unsealed.load(Ordering::Relaxed) {
            return Err(Error::StorageFailed);
        }
        self.frame.clear();
        commit.encode(&mut self.frame).map_err(|_| Error::StorageFailed)?;
        let started = Instant::now();
        let count = u32::try_from(count).map_err(|_| Error::StorageFailed)?;
        self.wal.append(self.next_offset, count, &self.frame).map_err(|error| self.failure(error))?;
        self.condition.synced(started.elapsed());
        if self.condition.set_full(false) {
            tracing::info!(target: mesh::TERMINAL, "the disk has room again: log records are stored");
        }
        Ok(())
    }

    fn publish(&mut self, commit: Commit) {
        let entries = commit.into_entries(self.next_offset);
        let Some(last) = entries.last().and_then(|entries| entries.last()) else { return };
        self.next_offset = last.offset + 1;
        self.head.commit(entries.clone());
        self.condition.hand_over(entries.iter().map(|entries| weight_of(entries)).sum());
        if self.encoder.send(entries).is_err() {
            tracing::error!(target: mesh::TERMINAL, "the thread that seals segments is gone: the log service ends");
            self.condition.failed.cancel();
        }
    }

    /// Lets go of write-ahead files that are sealed, and of producers that are long silent.
    fn maintain(&mut self) {
        let released = self.condition.released.load(Ordering::Acquire);
        if let Err(error) = self.wal.release(released) {
            self.failure(error);
        }
        self.condition.wal_bytes.store(self.wal.bytes(), Ordering::Relaxed);
        self.commits += 1;
        if self.commits.is_multiple_of(PRUNE_EVERY) {
            self.marks.prune(entry::now());
        }
    }

    /// Says what failed, to the terminal: in the log it could not be written either.
    fn failure(&mut self, error: AppendError) -> Error {
        match error {
            AppendError::Write(error) if error.kind() == io::ErrorKind::StorageFull => {
                if self.condition.set_full(true) {
                    tracing::error!(target: mesh::TERMINAL, "the disk is full: log records wait with their senders");
                }
                Error::DiskFull
            }
            AppendError::Write(error) => {
                tracing::error!(target: mesh::TERMINAL, "could not write the log: {error}");
                Error::StorageFailed
            }
            AppendError::Sync(error) => {
                if !self.condition.failed.is_cancelled() {
                    tracing::error!(target: mesh::TERMINAL, "could not force the log to disk, so nothing more is acknowledged and the log service ends: {error}");
                    self.condition.failed.cancel();
                }
                Error::StorageFailed
            }
        }
    }
}
