//! The log file: appends, forces to disk, and only then answers.
//!
//! One thread of its own writes: an `fdatasync` never blocks a request. Whoever
//! waits when it is free is committed together (group commit). A line that was
//! torn by a crash is cut off at the next start; it was never acknowledged.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::entry::{Entry, Source};
use crate::error::Error;
use crate::recent::Recent;

mod file;
mod writer;

use writer::Writer;

/// Appends that wait for the disk; more wait in their callers.
const WAITING: usize = 256;

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stored {
    /// Everything of the producer up to this is on disk.
    pub(crate) acknowledged: u64,
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
}

/// Entries on their way to the disk, and who waits for them.
struct Append {
    source: Arc<Source>,
    entries: Vec<Entry>,
    reply: oneshot::Sender<Result<Stored, Error>>,
}

/// The log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    appends: mpsc::Sender<Append>,
    recent: Arc<Recent>,
    thread: Arc<std::sync::Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl Store {
    /// Opens the file, creating it and its folder, and learns from it what is stored.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let recent = Arc::new(Recent::new());
        let writer = Writer::open(path, recent.clone())?;
        let (appends, waiting) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new().name("log writer".to_owned()).spawn(move || writer.run(waiting))?;
        Ok(Self { appends, recent, thread: Arc::new(std::sync::Mutex::new(Some(thread))) })
    }

    /// Stores the entries of one source. Answers once they are on disk.
    pub(crate) async fn append(&self, source: Arc<Source>, entries: Vec<Entry>) -> Result<Stored, Error> {
        let (reply, stored) = oneshot::channel();
        self.appends.send(Append { source, entries, reply }).await.map_err(|_| Error::Stopping)?;
        stored.await.map_err(|_| Error::Stopping)?
    }

    /// The latest entries.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Ends the writer once everything that waits is on disk.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        let Self { appends, thread, .. } = self;
        drop(appends);
        let thread = thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(move || thread.join())
                .await?
                .map_err(|_| anyhow::anyhow!("the log writer panicked"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
