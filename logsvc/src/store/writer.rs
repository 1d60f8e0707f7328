//! The thread that writes: takes whoever waits, writes once, syncs once, answers all.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::entry::Entry;
use crate::error::Error;
use crate::line;
use crate::marks::{Marks, Verdict};
use crate::recent::{KEPT, Recent};
use crate::store::file::{AppendError, LogFile};
use crate::store::{Append, Stored};

/// Lines of one commit: enough to share an fsync, too little to keep others waiting.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// Owns the file and the marks.
pub(super) struct Writer {
    file: LogFile,
    marks: Marks,
    recent: Arc<Recent>,
    /// Set once a sync failed: what the kernel dropped cannot be synced again.
    broken: bool,
    /// Set while the disk is full, so that it is said once.
    full: bool,
}

/// One append that is part of a commit.
struct Judged {
    append: Append,
    result: Result<Stored, Error>,
    fresh: Vec<Entry>,
    /// The producer's mark before, in case the commit fails.
    mark: Option<u64>,
}

impl Writer {
    pub(super) fn open(path: &Path, recent: Arc<Recent>) -> io::Result<Self> {
        let file = LogFile::open(path)?;
        let mut marks = Marks::default();
        let entries = file.read_back()?;
        for entry in &entries {
            marks.advance(entry);
        }
        let excess = entries.len().saturating_sub(KEPT);
        recent.push(entries.into_iter().skip(excess));
        Ok(Self { file, marks, recent, broken: false, full: false })
    }

    /// Writes until nobody can append any more.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Append>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut lines = String::new();
            let mut commit = vec![self.judge(first, &mut lines)];
            while lines.len() < COMMIT_BYTES
                && let Ok(append) = waiting.try_recv()
            {
                commit.push(self.judge(append, &mut lines));
            }
            self.commit(commit, &lines);
        }
    }

    /// Decides what of an append is new, and writes that into `lines`.
    fn judge(&mut self, mut append: Append, lines: &mut String) -> Judged {
        let mark = self.marks.of(&append.source.producer);
        let mut stored = Stored::default();
        let mut fresh = Vec::with_capacity(append.entries.len());
        let mut result = Ok(());
        for entry in std::mem::take(&mut append.entries) {
            match self.marks.judge(&entry) {
                Ok(Verdict::Duplicate) => stored.duplicates += 1,
                Ok(Verdict::Store) => {
                    self.marks.advance(&entry);
                    line::write(&entry, lines);
                    stored.stored += 1;
                    fresh.push(entry);
                }
                Err(hole) => {
                    result = Err(hole);
                    break;
                }
            }
        }
        stored.acknowledged = self.marks.of(&append.source.producer).unwrap_or_default();
        Judged { append, result: result.map(|()| stored), fresh, mark }
    }

    /// Forces the lines to disk and answers whoever waits.
    fn commit(&mut self, commit: Vec<Judged>, lines: &str) {
        let outcome = if self.broken {
            Err(Error::StorageFailed)
        } else if lines.is_empty() {
            Ok(())
        } else {
            self.file.append(lines).map_err(|error| self.failure(error))
        };
        if outcome.is_ok() && !lines.is_empty() && std::mem::replace(&mut self.full, false) {
            tracing::info!(target: mesh::TERMINAL, "the disk has room again: log records are stored");
        }
        if outcome.is_err() {
            // In reverse, so that a producer with several appends ends where it began.
            for judged in commit.iter().rev() {
                self.marks.restore(&judged.append.source.producer, judged.mark);
            }
        }
        for judged in commit {
            if outcome.is_ok() {
                self.recent.push(judged.fresh);
            }
            // One that hung up learns from its duplicates when it sends again.
            let _gone = judged.append.reply.send(outcome.clone().and(judged.result));
        }
    }

    /// Says what failed, to the terminal: in the log it could not be written either.
    fn failure(&mut self, error: AppendError) -> Error {
        match error {
            AppendError::Write(error) if error.kind() == io::ErrorKind::StorageFull => {
                if !std::mem::replace(&mut self.full, true) {
                    tracing::error!(target: mesh::TERMINAL, "the disk is full: log records wait with their senders");
                }
                Error::DiskFull
            }
            AppendError::Write(error) => {
                tracing::error!(target: mesh::TERMINAL, "could not write the log: {error}");
                Error::StorageFailed
            }
            AppendError::Sync(error) => {
                tracing::error!(target: mesh::TERMINAL, "could not force the log to disk, so nothing is acknowledged until a restart: {error}");
                self.broken = true;
                Error::StorageFailed
            }
        }
    }
}
