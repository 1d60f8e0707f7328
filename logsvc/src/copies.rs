//! Copies sealed segments to object storage, oldest first, each once.
//!
//! A segment never changes, so a copy is there when it is there with the same size.
//! Nothing that is there is ever overwritten or removed: retention is the business
//! of whoever keeps the copies. Like forwarding, it has a thread and a runtime of
//! its own without a subscriber.
//!
//! Read `destination` for where copies go, `worker` for how it goes on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing::dispatcher;

mod destination;
mod worker;
#[cfg(test)]
mod tests;

use destination::Destination;
use worker::Worker;

/// How long stopping waits; a copy that is not complete then is made anew next time.
const STOP: Duration = Duration::from_secs(1);

/// One sealed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedFile {
    /// The same wherever it is copied to.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) first_offset: u64,
    pub(crate) bytes: u64,
}

/// Lists the sealed segments that there are now.
pub(crate) type List = Box<dyn Fn() -> Vec<SealedFile> + Send>;

/// How far it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct CopyStatus {
    /// Segments that are there, of those that are kept here too.
    pub(crate) copied: u64,
    /// Segments that are not there yet.
    pub(crate) waiting: u64,
    /// Segments that retention removed before they were copied, since the start.
    pub(crate) missed: u64,
    /// What went wrong last; empty when the last copy went well.
    pub(crate) last_error: String,
}

/// The thread that copies. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    status: Arc<Mutex<CopyStatus>>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Copies {
    /// Starts the thread; refuses a URL that nothing could ever be copied to.
    pub(crate) fn start(url: &str, list: List) -> anyhow::Result<Self> {
        let copies = Self { status: Arc::default(), stop: CancellationToken::new(), ended: CancellationToken::new() };
        let Self { status, stop, ended } = copies.clone();
        let url = url.to_owned();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("segment copies".to_owned()).spawn(move || {
            let _ended = ended.drop_guard();
            match open(&url) {
                Ok((runtime, destination)) => {
                    let _told = tell.send(Ok(()));
                    run(runtime, Worker::new(destination, list, status), stop);
                }
                Err(error) => {
                    let _told = tell.send(Err(error));
                }
            }
        })?;
        // Nothing is asked of the network yet: this waits for a thread to start.
        told.recv().context("the thread of segment copies ended at once")??;
        Ok(copies)
    }

    /// How far it is.
    pub(crate) fn status(&self) -> CopyStatus {
        lock(&self.status).clone()
    }

    /// Ends, in a second at most, and says what is not copied yet.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _late = tokio::time::timeout(STOP, self.ended.cancelled()).await;
        let CopyStatus { copied, waiting, missed, last_error } = self.status();
        if waiting > 0 {
            tracing::info!(copied, waiting, missed, last_error, "{waiting} sealed segments are not copied yet");
        }
    }
}

fn lock(status: &Mutex<CopyStatus>) -> MutexGuard<'_, CopyStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Made on the thread that uses them: a runtime may not be dropped inside another one.
fn open(url: &str) -> anyhow::Result<(Runtime, Destination)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let destination = {
        let _runtime = runtime.enter();
        Destination::open(url)?
    };
    Ok((runtime, destination))
}

/// Copies until it is told to stop.
fn run(runtime: Runtime, mut worker: Worker, stop: CancellationToken) {
    loop {
        let quiet = dispatcher::set_default(&mesh::silence());
        let goes_on = runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.cancelled() => false,
                () = worker.step() => true,
            }
        });
        drop(quiet);
        if !goes_on {
            break;
        }
        worker.complain();
    }
    let _quiet = dispatcher::set_default(&mesh::silence());
    runtime.shutdown_background();
}
