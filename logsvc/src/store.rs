//! The log on disk: write-ahead files, segments, and what readers see of them.
//!
//! Two threads of its own: the `writer` commits, so that an `fdatasync` never
//! blocks a request, and whoever waits when it is free is committed together
//! (group commit); the `sealer` makes blocks and segments of what is committed.
//! `disk` is the one place that touches files; tests put a failing one under it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use proto::logs::LogRecord;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::copies::SealedFile;
use crate::entry::{Source, weight};
use crate::error::Error;

mod block;
mod bloom;
mod commit;
mod condition;
mod disk;
mod head;
mod marks;
mod opening;
mod read;
mod sealer;
mod segment;
pub(crate) mod tokens;
mod verify;
mod wal;
mod writer;

#[cfg(test)]
pub(crate) use block::Block;
pub(crate) use block::{Column, Fields, Ids, Meta, Summary, Text};
use condition::Condition;
pub(crate) use disk::Disk;
use disk::RealDisk;
pub(crate) use head::{Piece, View};
pub(crate) use read::Chunk;
pub(crate) use sealer::Policy;
pub(crate) use segment::Segment;
pub(crate) use verify::verify;

use head::Head;

/// Appends that wait for the disk, in number and by what they weigh; more wait in their callers.
const WAITING: usize = 1024;
const WAITING_KIB: u32 = 16 * 1024;

/// The disk of this machine.
pub(crate) fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stored {
    /// Everything of the producer up to this is on disk.
    pub(crate) acknowledged: u64,
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    /// The offsets of what was stored now; 0 when nothing was.
    pub(crate) first_offset: u64,
    pub(crate) last_offset: u64,
}

/// Records on their way to the disk, and who waits for them.
struct Append {
    source: Arc<Source>,
    records: Vec<LogRecord>,
    reply: oneshot::Sender<Result<Stored, Error>>,
    /// Its part of what may wait.
    _room: Option<OwnedSemaphorePermit>,
}

/// What the writer is asked to do.
enum Work {
    Append(Append),
    /// To commit what waits, take no more, and end.
    End,
}

/// The log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    work: mpsc::Sender<Work>,
    room: Arc<Semaphore>,
    head: Arc<Head>,
    condition: Arc<Condition>,
    policy: Arc<Policy>,
    /// The folder of segments.
    segments: Arc<PathBuf>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Store {
    /// Opens the log in a folder, creating what is missing, and reads what a crash left in write-ahead files.
    ///
    /// Fails when another process has it open, and when it is of a later version.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path, policy: Policy) -> std::io::Result<Self> {
        let condition = Arc::<Condition>::default();
        let opened = opening::open(disk, folder, policy.clone(), condition.clone())?;
        let head = opened.writer.head.clone();
        let (work, waiting) = mpsc::channel(WAITING);
        let (writer, sealer, committed, lock) = (opened.writer, opened.sealer, opened.committed, opened.lock);
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            thread("log writer").spawn(move || writer.run(waiting))?,
            thread("log sealer").spawn(move || {
                sealer.run(committed);
                // Nobody else may open the log before everything is as it will be found.
                drop(lock);
            })?,
        ];
        Ok(Self {
            work,
            room: Arc::new(Semaphore::new(WAITING_KIB as usize)),
            head,
            condition,
            policy: Arc::new(policy),
            segments: Arc::new(opening::segments_in(folder)),
            threads: Arc::new(Mutex::new(threads)),
        })
    }

    /// Stores the records of one source. Answers once they are on disk.
    pub(crate) async fn append(&self, source: Arc<Source>, records: Vec<LogRecord>) -> Result<Stored, Error> {
        let kib = records.iter().map(weight).sum::<usize>() / 1024;
        let kib = u32::try_from(kib).unwrap_or(WAITING_KIB).min(WAITING_KIB);
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| Error::Stopping)?;
        let (reply, stored) = oneshot::channel();
        let append = Append { source, records, reply, _room: Some(room) };
        self.work.send(Work::Append(append)).await.map_err(|_| Error::Stopping)?;
        stored.await.map_err(|_| Error::Stopping)?
    }

    /// The log as it is now.
    pub(crate) fn view(&self) -> View {
        self.head.view()
    }

    /// Tells of each commit the offset after its last record.
    pub(crate) fn end(&self) -> watch::Receiver<u64> {
        self.head.end()
    }

    /// The sealed segments that there are now, as files.
    pub(crate) fn sealed(&self) -> Vec<SealedFile> {
        let file = |segment: &Arc<Segment>| SealedFile {
            name: segment.name().to_owned(),
            path: segment.path_in(&self.segments),
            first_offset: segment.first_offset(),
            bytes: segment.bytes(),
        };
        self.view().segments().iter().map(file).collect()
    }

    /// How the store is doing.
    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }

    /// When segments are sealed, and how long they are kept.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Cancelled when nothing can be promised any more, so that the process has to end.
    pub(crate) fn failed(&self) -> CancellationToken {
        self.condition.failed.clone()
    }

    /// Whether appends wait in numbers: producers should send larger batches, less often.
    pub(crate) fn is_pressed(&self) -> bool {
        self.room.available_permits() < WAITING_KIB as usize / 2
    }

    /// Ends both threads once everything that waits is on disk; nothing can be appended any more.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        // A writer that has ended already takes no more.
        let _ended = self.work.send(Work::End).await;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(move || threads.into_iter().try_for_each(JoinHandle::join))
            .await?
            .map_err(|_| anyhow::anyhow!("a thread of the log store panicked"))
    }
}

#[cfg(test)]
mod tests;
