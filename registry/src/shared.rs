//! The instance table as the streams and the clock share it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::registry::Command;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::feed::{Batch, Feed, Followed};
use crate::heartbeats::{self, Mailbox};
use crate::instances::{Errands, Instances, Now, Probe, Rules, StreamId};
use crate::watchers::Watchers;

/// How often leases are looked at: what is due is seen this late at most.
const SWEEP: Duration = Duration::from_millis(50);

/// After one publication the next waits this long: a storm of changes wakes each
/// watcher a hundred times a second at most, and a single change at once.
const PUBLICATION: Duration = Duration::from_millis(10);

/// How often the terminal shows the heartbeats that came.
const DISPLAY: Duration = Duration::from_secs(2);

/// The table, and what wakes those who wait for its changes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    instances: Mutex<Instances>,
    epoch: String,
    feed: Feed,
    watchers: Watchers,
    /// The last revision of the table, published or not.
    latest: AtomicU64,
    changed: Notify,
    published: watch::Sender<u64>,
    next_stream: AtomicU64,
    streams: Mutex<HashMap<StreamId, Arc<Mailbox>>>,
    probes: mpsc::UnboundedSender<Probe>,
    /// Cancelled and replaced when everybody is sent to another node.
    moved: Mutex<CancellationToken>,
}

impl Shared {
    /// A new table; what is to be probed goes to `probes`, of which each instance has one at most.
    pub(crate) fn new(rules: Rules, probes: mpsc::UnboundedSender<Probe>) -> Self {
        let epoch = format!("{:016x}", fastrand::u64(..));
        Self(Arc::new(Parts {
            instances: Mutex::new(Instances::new(rules, Now::read())),
            feed: Feed::new(&epoch),
            epoch,
            watchers: Watchers::default(),
            latest: AtomicU64::new(0),
            changed: Notify::new(),
            published: watch::Sender::new(0),
            next_stream: AtomicU64::new(1),
            streams: Mutex::default(),
            probes,
            moved: Mutex::default(),
        }))
    }

    /// Works on the table; then wakes whoever waits for changes, and runs the table's errands.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Instances) -> T) -> T {
        let mut instances = self.lock();
        let done = work(&mut instances);
        let errands = instances.errands();
        let revision = instances.changes().revision();
        drop(instances);
        if self.0.latest.fetch_max(revision, Ordering::Relaxed) < revision {
            self.0.changed.notify_one();
        }
        self.run(errands);
        done
    }

    fn run(&self, errands: Errands) {
        for probe in errands.probes {
            // The prober ends with the process only.
            let _stopping = self.0.probes.send(probe);
        }
        for (stream, key, incarnation, order) in errands.orders {
            let command = heartbeats::command(&key, incarnation, order);
            if let Some(mailbox) = self.streams().get(&stream) {
                mailbox.put(command);
            }
        }
    }

    /// Changes whenever there is something new for watchers.
    pub(crate) fn published(&self) -> watch::Receiver<u64> {
        self.0.published.subscribe()
    }

    pub(crate) fn epoch(&self) -> &str {
        &self.0.epoch
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }

    /// What brings a watcher from its position to the present.
    pub(crate) fn batch(&self, followed: &Followed, position: Option<u64>) -> Arc<Batch> {
        self.0.feed.batch(followed, position, |tell| tell(&self.lock()))
    }

    /// What says that a stream lives.
    pub(crate) fn bookmark(&self, revision: u64) -> proto::encoded::Encoded<proto::registry::WatchResponse> {
        self.0.feed.bookmark(revision, &self.lock())
    }

    /// A new heartbeat stream, and what it should send besides its answers.
    pub(crate) fn open_stream(&self) -> (StreamId, Arc<Mailbox>) {
        let id = StreamId(self.0.next_stream.fetch_add(1, Ordering::Relaxed));
        let mailbox = Arc::<Mailbox>::default();
        self.streams().insert(id, mailbox.clone());
        (id, mailbox)
    }

    /// A heartbeat stream is over. Unless it is the registry that stops, its instances are in doubt.
    pub(crate) fn close_stream(&self, id: StreamId, stops: bool) {
        self.streams().remove(&id);
        if !stops {
            self.with(|instances| instances.close(id, Now::read()));
        }
    }

    /// Sends a command on every heartbeat stream, and answers how many there are.
    pub(crate) fn tell_all(&self, command: &Command) -> usize {
        let streams = self.streams();
        streams.values().for_each(|mailbox| mailbox.put(command.clone()));
        streams.len()
    }

    /// Cancelled when everybody is sent to another node.
    pub(crate) fn moved(&self) -> CancellationToken {
        self.0.moved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends every watch: whoever watches should do so elsewhere.
    pub(crate) fn end_watches(&self) {
        std::mem::take(&mut *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner)).cancel();
    }

    /// Looks at the leases until stopped.
    pub(crate) async fn sweep(self, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = sweep.tick() => {}
                () = stop.cancelled() => return,
            }
            self.with(|instances| instances.sweep(Now::read()));
        }
    }

    /// Tells watchers of changes until stopped.
    pub(crate) async fn publish(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.0.changed.notified() => {}
                () = stop.cancelled() => return,
            }
            let revision = self.0.latest.load(Ordering::Relaxed);
            self.0.feed.renew();
            self.0.published.send_replace(revision);
            tokio::time::sleep(PUBLICATION).await;
        }
    }

    /// Shows on the terminal which heartbeats came, until stopped.
    pub(crate) async fn show_heartbeats(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(DISPLAY) => {}
                () = stop.cancelled() => return,
            }
            let came = self.with(Instances::take_beats);
            if !came.is_empty() {
                let counts: Vec<String> = came.iter().map(|(service, count)| format!("{service} {count}")).collect();
                tracing::info!(target: mesh::TERMINAL, "heartbeats in the last {} s: {}", DISPLAY.as_secs(), counts.join(", "));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.0.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<Mailbox>>> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
