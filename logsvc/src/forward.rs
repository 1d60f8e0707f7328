//! Hands everything that is stored on to an OTLP receiver, at least once.
//!
//! It reads the log like any other reader, from a cursor that is kept on disk, and
//! goes on only when the receiver has said OK: what is stored is what is forwarded,
//! and the receiver knows by `log.record.uid` what it has already. It has a thread
//! and a runtime of its own without a subscriber, so that forwarding never feeds on
//! its own events.
//!
//! Read `batch` for what travels together, `verdict` for what an answer means,
//! `cursor` for where it stands, `refused` for what nobody wanted, `troubles` for
//! what is said of it, `worker` for how it goes on.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use proto::logs::Forwarding;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::dispatcher;

use crate::entry::Source;
use crate::error::Error;
use crate::store::{Chunk, Store};

mod batch;
mod verdict;
mod cursor;
mod refused;
mod troubles;
mod worker;
#[cfg(test)]
mod tests;

use worker::Worker;

/// How long an export that is under way may take when the process stops.
const LAST_EXPORT: Duration = Duration::from_millis(1500);

/// How long stopping waits: a little longer, so that the cursor is still written.
const STOP: Duration = Duration::from_secs(2);

/// What there is to hand on.
pub(crate) struct Feed {
    /// Reads at most so many entries from an offset on; may block.
    pub(crate) read: Box<dyn Fn(u64, usize) -> Result<Chunk, Error> + Send>,
    /// The offset that the next entry gets.
    pub(crate) end: watch::Receiver<u64>,
}

/// Where to, and on whose behalf.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// As in `http://collector:4317`.
    pub(crate) endpoint: String,
    /// Where the cursor is kept, and what the receiver refused.
    pub(crate) folder: PathBuf,
    /// Who says it when something is missing.
    pub(crate) own: Source,
}

/// How far it is. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    progress: Arc<Progress>,
    stop: CancellationToken,
    ended: CancellationToken,
}

/// What the thread tells of itself.
#[derive(Debug)]
struct Progress {
    endpoint: String,
    end: watch::Receiver<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    next_offset: u64,
    refused: u64,
    last_error: String,
}

impl Feed {
    pub(crate) fn of(store: &Store) -> Self {
        let end = store.end();
        let store = store.clone();
        Self { read: Box::new(move |from, most| Ok(store.read(from, most))), end }
    }
}

impl Forwarder {
    /// Starts the thread; refuses an endpoint that nothing could ever reach.
    pub(crate) fn start(settings: Settings, feed: Feed) -> anyhow::Result<Self> {
        check(&settings.endpoint)?;
        let progress = Progress {
            endpoint: settings.endpoint.clone(),
            end: feed.end.clone(),
            state: Mutex::new(State::default()),
        };
        let forwarder =
            Self { progress: Arc::new(progress), stop: CancellationToken::new(), ended: CancellationToken::new() };
        let Self { progress, stop, ended } = forwarder.clone();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("log forwarder".to_owned()).spawn(move || {
            let _ended = ended.drop_guard();
            match Worker::start(settings, feed, progress, stop) {
                Ok((runtime, worker)) => {
                    let _told = tell.send(Ok(()));
                    run(runtime, worker);
                }
                Err(error) => {
                    let _told = tell.send(Err(error));
                }
            }
        })?;
        // Connecting is lazy, so this waits for two small files and for nothing else.
        told.recv().context("the log forwarder's thread ended at once")??;
        Ok(forwarder)
    }

    /// How far it is, for statistics.
    pub(crate) fn status(&self) -> Forwarding {
        let State { next_offset, refused, last_error } = self.progress.lock().clone();
        let lag = self.progress.end.borrow().saturating_sub(next_offset);
        Forwarding { endpoint: self.progress.endpoint.clone(), next_offset, lag, refused, last_error }
    }

    /// Ends, in two seconds at most; what is not handed on is next time.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // Late is as good as ended: what is repeated because of it is known by its id.
        let _late = tokio::time::timeout(STOP, self.ended.cancelled()).await;
    }
}

impl Progress {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what is no address of a receiver, with words.
fn check(endpoint: &str) -> anyhow::Result<()> {
    let uri: http::Uri = endpoint.parse().with_context(|| format!("{endpoint:?} is no URL of an OTLP receiver"))?;
    ensure!(
        uri.scheme_str() != Some("https"),
        "{endpoint:?} asks for encryption, which forwarding cannot do yet: give http://, to a collector nearby that can"
    );
    let is_plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
    ensure!(is_plain, "{endpoint:?} is no URL of an OTLP receiver: it looks like http://collector:4317");
    Ok(())
}

/// Hands on until it is told to stop.
fn run(runtime: tokio::runtime::Runtime, mut worker: Worker) {
    let stop = worker.stop.clone();
    let mut out_of_time = pin!(async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_EXPORT).await;
    });
    loop {
        let quiet = dispatcher::set_default(&mesh::silence());
        let goes_on = runtime.block_on(async {
            tokio::select! {
                goes_on = worker.step() => goes_on,
                () = out_of_time.as_mut() => false,
            }
        });
        drop(quiet);
        worker.complain();
        if !goes_on {
            break;
        }
    }
    worker.finish();
    let _quiet = dispatcher::set_default(&mesh::silence());
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
}
