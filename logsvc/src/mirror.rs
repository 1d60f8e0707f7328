//! The mirror: `app.log`, derived from what is committed, for people and for `grep`.
//!
//! A thread of its own reads the log like anybody who follows it. Nobody waits for it, and
//! what it cannot write it writes later: whatever happens to the file, the log is not touched.

mod cursor;
mod file;

pub(crate) use file::Place;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proto::logs::{Level, LogRecord};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::entry;
use crate::line::Line;
use crate::mirror::file::{AppLog, Opened};
use crate::store::Chunk;

/// Past this, in bytes, `app.log` becomes `app.log.1`: an editor still opens both.
pub(crate) const LIMIT: u64 = 256 * 1024 * 1024;

/// Records that are read at once.
const MOST_READ: usize = 1000;

/// Lines are gathered up to this many bytes: then the system call no longer counts.
const PIECE: usize = 512 * 1024;

/// After a failure it is tried again so often.
const RETRY: Duration = Duration::from_secs(1);

/// What a stop may take: the rest is written at the next start.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The thread that writes the mirror.
#[derive(Debug)]
pub(crate) struct Mirror {
    stop: CancellationToken,
    /// Ends with the thread.
    ended: oneshot::Receiver<()>,
}

impl Mirror {
    /// Starts deriving. `read` reads records from an offset on, so many at most; `end` is where the log ends.
    pub(crate) fn start<R>(place: Place, read: R, end: watch::Receiver<u64>) -> io::Result<Self>
    where
        R: FnMut(u64, usize) -> Chunk + Send + 'static,
    {
        let stop = CancellationToken::new();
        let (ending, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let deriving =
            Deriving { place, read, end, stop: stop.clone(), log: None, lines: String::new(), is_in_trouble: false };
        std::thread::Builder::new().name("app.log".to_owned()).spawn(move || {
            deriving.run(&runtime);
            drop(ending);
        })?;
        Ok(Self { stop, ended })
    }

    /// Catches up for a moment, and ends.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.stop.cancel();
        match tokio::time::timeout(LAST_MOMENT * 2, self.ended).await {
            Ok(_) => Ok(()),
            Err(_) => anyhow::bail!("the disk is too slow; what is missing in it is written at the next start"),
        }
    }
}

/// Why the mirror does not grow for now.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {cause}", path.display())]
struct Trouble {
    path: PathBuf,
    cause: io::Error,
}

struct Deriving<R> {
    place: Place,
    read: R,
    end: watch::Receiver<u64>,
    stop: CancellationToken,
    /// None until it is opened; a failure closes it, for then it may end in the middle of a line.
    log: Option<AppLog>,
    /// Kept for its capacity.
    lines: String,
    is_in_trouble: bool,
}

impl<R: FnMut(u64, usize) -> Chunk> Deriving<R> {
    fn run(mut self, runtime: &Runtime) {
        loop {
            let is_last = self.stop.is_cancelled();
            let done = self.catch_up();
            let failed = done.is_err();
            self.tell(done);
            if is_last {
                return;
            }
            let end = &mut self.end;
            let due = async {
                match failed {
                    true => tokio::time::sleep(RETRY).await,
                    // The log outlives us; without it there is nothing to wait for but the stop.
                    false => {
                        if end.changed().await.is_err() {
                            std::future::pending().await
                        }
                    }
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = due => {}
                    () = self.stop.cancelled() => {}
                }
            });
        }
    }

    /// Says once that it does not work, and once that it does again. To the terminal only: the disk may be full.
    fn tell(&mut self, done: Result<(), Trouble>) {
        match done {
            Ok(()) if self.is_in_trouble => {
                tracing::info!(target: mesh::TERMINAL, "{} is written again", self.place.file.display());
                self.is_in_trouble = false;
            }
            Err(trouble) if !self.is_in_trouble => {
                tracing::error!(target: mesh::TERMINAL, "{trouble}; the log itself goes on, and it is tried again each second");
                self.is_in_trouble = true;
            }
            _ => {}
        }
    }

    /// Writes everything that the log has more than the file, or what a stop leaves time for.
    fn catch_up(&mut self) -> Result<(), Trouble> {
        let mut latest = None;
        loop {
            let end = *self.end.borrow_and_update();
            let next = self.open(end)?.next();
            if next >= end || latest.is_some_and(|latest| Instant::now() > latest) {
                return Ok(());
            }
            let chunk = (self.read)(next, MOST_READ);
            if chunk.next <= next {
                return Ok(());
            }
            let written = self.write(&chunk);
            self.settle(written)?;
            if self.stop.is_cancelled() {
                latest.get_or_insert_with(|| Instant::now() + LAST_MOMENT);
            }
        }
    }

    fn open(&mut self, end: u64) -> Result<&mut AppLog, Trouble> {
        if self.log.is_none() {
            let opened = AppLog::open(&self.place, end);
            let Opened { log, note } = self.settle(opened)?;
            let next = log.next();
            self.log = Some(log);
            if let Some(note) = note {
                self.note(note);
                let written = self.flush(next);
                self.settle(written)?;
            }
        }
        let gone = || Trouble { path: self.place.file.clone(), cause: io::ErrorKind::NotFound.into() };
        self.log.as_mut().ok_or_else(gone)
    }

    /// After a failure of the file nothing is known of it: it is opened again, as after a crash.
    fn settle<T>(&mut self, done: io::Result<T>) -> Result<T, Trouble> {
        done.map_err(|cause| {
            self.log = None;
            self.lines.clear();
            Trouble { path: self.place.file.clone(), cause }
        })
    }

    fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        if let Some(Range { start, end }) = &chunk.removed {
            let words = format!("the records {start} to {} were removed as too old before they were here", end - 1);
            self.note(words);
        }
        for entry in &chunk.entries {
            Line::from(entry).write(&mut self.lines);
            if self.lines.len() >= PIECE {
                self.flush(entry.offset + 1)?;
            }
        }
        self.flush(chunk.next)
    }

    fn flush(&mut self, next: u64) -> io::Result<()> {
        let log = self.log.as_mut().ok_or(io::ErrorKind::NotFound)?;
        log.append(&self.lines, next)?;
        self.lines.clear();
        Ok(())
    }

    /// A line of the mirror's own. It looks like the others, so that it too is written once.
    fn note(&mut self, message: String) {
        let record = LogRecord {
            time: Some(entry::timestamp(entry::now())),
            level: Level::Warn.into(),
            target: "logsvc::mirror".to_owned(),
            message,
            ..Default::default()
        };
        let (service, instance, producer) = ("logsvc", "mirror", "mirror");
        Line { service, instance, producer, last_words: false, record: &record }.write(&mut self.lines);
    }
}

#[cfg(test)]
mod tests;
