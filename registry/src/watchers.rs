//! Who watches: a snapshot, then every change; and how far each has come.
//!
//! Nothing is queued per watcher: the next message is made, or shared with others
//! at the same place, when the transport asks for it. One that is slow is simply
//! further behind, sees the last change of each instance, and past the history a
//! reset. It never misses anything silently.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::encoded::Encoded;
use proto::registry::{WatchRequest, WatchResponse, Watcher as Described};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::error::Error;
use crate::feed::{Batch, Followed};
use crate::shared::Shared;

/// Proves to a watcher that its stream lives.
const BOOKMARK: Duration = Duration::from_secs(5);

/// What one watcher asked for, and how far it has come.
#[derive(Debug)]
pub(crate) struct Watching {
    pub(crate) caller: String,
    pub(crate) address: String,
    pub(crate) followed: Followed,
    pub(crate) since: jiff::Timestamp,
    acknowledges: AtomicBool,
    applied: AtomicU64,
    sent: AtomicU64,
}

impl Watching {
    /// A watch from `position` on; without one, from nothing.
    pub(crate) fn new(caller: String, address: String, followed: Followed, acknowledges: bool) -> Self {
        Self {
            caller,
            address,
            followed,
            since: jiff::Timestamp::now(),
            acknowledges: AtomicBool::new(acknowledges),
            applied: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    fn follows(&self, service: &str) -> bool {
        self.followed.is_empty() || self.followed.iter().any(|followed| **followed == *service)
    }

    pub(crate) fn describe(&self) -> Described {
        Described {
            caller: self.caller.clone(),
            address: self.address.clone(),
            services: self.followed.iter().map(ToString::to_string).collect(),
            acknowledges: self.acknowledges.load(Ordering::Relaxed),
            applied_revision: self.applied.load(Ordering::Relaxed),
            sent_revision: self.sent.load(Ordering::Relaxed),
            begin_time: Some(mesh::timestamp(self.since)),
        }
    }
}

/// Everybody who watches now, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    watching: Mutex<(u64, BTreeMap<u64, Arc<Watching>>)>,
    progress: Notify,
}

impl Watchers {
    fn add(&self, watching: Arc<Watching>) -> u64 {
        let mut all = self.lock();
        all.0 += 1;
        let id = all.0;
        all.1.insert(id, watching);
        id
    }

    fn remove(&self, id: u64) {
        self.lock().1.remove(&id);
        self.progress.notify_waiters();
    }

    /// Wakes when a watcher acknowledged something, or left.
    pub(crate) fn progress(&self) -> tokio::sync::futures::Notified<'_> {
        self.progress.notified()
    }

    /// Acknowledging watchers of a service that have not applied `revision` yet.
    pub(crate) fn laggards(&self, service: &str, revision: u64) -> Vec<Arc<Watching>> {
        let lags = |watching: &&Arc<Watching>| {
            watching.acknowledges.load(Ordering::Acquire)
                && watching.applied.load(Ordering::Acquire) < revision
                && watching.follows(service)
        };
        self.lock().1.values().filter(lags).cloned().collect()
    }

    /// Watchers that began after the one with number `after`, of a service or all, with their numbers.
    pub(crate) fn list(&self, service: Option<&str>, after: u64, most: usize) -> Vec<(u64, Arc<Watching>)> {
        let all = self.lock();
        let later = all.1.range(after + 1..);
        let wanted = later.filter(|(_, watching)| service.is_none_or(|service| watching.follows(service)));
        wanted.take(most).map(|(id, watching)| (*id, watching.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Arc<Watching>>)> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watch stream.
#[derive(Debug)]
pub(crate) struct Watcher {
    shared: Shared,
    id: u64,
    watching: Arc<Watching>,
    requests: Streaming<WatchRequest>,
    /// Whether further requests may come.
    listens: bool,
    position: Option<u64>,
    batch: Option<(Arc<Batch>, usize)>,
    published: watch::Receiver<u64>,
    quiet: Pin<Box<Sleep>>,
    stopping: CancellationToken,
    moved: CancellationToken,
}

impl Watcher {
    /// A watch that stands at `position`; without one it begins with a snapshot.
    pub(crate) fn new(
        shared: Shared,
        watching: Watching,
        position: Option<u64>,
        requests: Streaming<WatchRequest>,
        stopping: CancellationToken,
    ) -> Self {
        let watching = Arc::new(watching);
        let begin = position.unwrap_or_default();
        watching.applied.store(begin, Ordering::Release);
        watching.sent.store(begin, Ordering::Release);
        let id = shared.watchers().add(watching.clone());
        let mut published = shared.published();
        // There is something to say at once.
        published.mark_changed();
        let (quiet, moved) = (Box::pin(tokio::time::sleep(BOOKMARK)), shared.moved());
        Self { shared, id, watching, requests, listens: true, position, batch: None, published, quiet, stopping, moved }
    }

    /// The messages, until the watcher leaves or the registry stops.
    pub(crate) fn messages(self) -> impl Stream<Item = Result<Encoded<WatchResponse>, Status>> + Send {
        futures_util::stream::unfold(Some(self), async |watcher| {
            let mut watcher = watcher?;
            let message = watcher.next().await?;
            let is_last = message.is_err();
            Some((message, (!is_last).then_some(watcher)))
        })
    }

    async fn next(&mut self) -> Option<Result<Encoded<WatchResponse>, Status>> {
        loop {
            if let Some(message) = self.ready() {
                return Some(Ok(message));
            }
            tokio::select! {
                changed = self.published.changed() => {
                    changed.ok()?;
                    self.catch_up();
                }
                request = self.requests.message(), if self.listens => match request {
                    Ok(Some(request)) => self.acknowledge(&request),
                    Ok(None) => self.end_of_requests(),
                    // Nobody hears this when it is the connection that broke.
                    Err(status) => return Some(Err(Error::Unreadable(status.message().to_owned()).into())),
                },
                () = &mut self.quiet => {
                    self.rest();
                    let reached = self.position.unwrap_or_default();
                    self.watching.sent.store(reached, Ordering::Relaxed);
                    return Some(Ok(self.shared.bookmark(reached)));
                }
                () = self.stopping.cancelled() => return Some(Err(Error::Stopping.into())),
                () = self.moved.cancelled() => return Some(Err(Error::Moved.into())),
            }
        }
    }

    /// The next message that is made already.
    fn ready(&mut self) -> Option<Encoded<WatchResponse>> {
        let (batch, next) = self.batch.as_mut()?;
        let message = batch.messages.get(*next).cloned();
        *next += 1;
        if message.is_some() {
            self.rest();
        } else {
            self.batch = None;
        }
        message
    }

    fn rest(&mut self) {
        self.quiet.as_mut().reset(Instant::now() + BOOKMARK);
    }

    fn catch_up(&mut self) {
        let published = *self.published.borrow_and_update();
        if self.position.is_some_and(|position| position >= published) {
            return;
        }
        let batch = self.shared.batch(&self.watching.followed, self.position);
        self.position = Some(batch.revision);
        // What does not concern it is not sent, so that who has applied what was sent is up to date.
        if !batch.messages.is_empty() {
            self.watching.sent.store(batch.revision, Ordering::Relaxed);
        }
        self.batch = Some((batch, 0));
    }

    fn acknowledge(&self, request: &WatchRequest) {
        if request.epoch == self.shared.epoch() {
            // It cannot have applied what it was not sent.
            let sent = self.watching.sent.load(Ordering::Relaxed);
            self.watching.applied.fetch_max(request.revision.min(sent), Ordering::AcqRel);
            self.shared.watchers().progress.notify_waiters();
        }
    }

    /// Whoever closes its side may go on reading, and is waited for no more.
    fn end_of_requests(&mut self) {
        self.listens = false;
        self.watching.acknowledges.store(false, Ordering::Release);
        self.shared.watchers().progress.notify_waiters();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.watchers().remove(self.id);
    }
}
