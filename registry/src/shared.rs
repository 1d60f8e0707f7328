//! The instance table as the streams and the clock share it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proto::registry::Instance;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::instances::{Instances, Now, StreamId};
use crate::requests::Key;

/// How often leases are looked at: a lapse is seen this late at most.
const SWEEP: Duration = Duration::from_millis(100);

/// How often the terminal shows the heartbeats that came.
const DISPLAY: Duration = Duration::from_secs(2);

/// The table, and what wakes those who wait for its changes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    instances: Mutex<Instances>,
    revision: watch::Sender<u64>,
    epoch: String,
    warm_at: Instant,
    next_stream: AtomicU64,
    /// Heartbeats since the terminal last showed them, by service.
    heartbeats: Mutex<BTreeMap<String, u64>>,
}

impl Shared {
    pub(crate) fn new(lease: Duration) -> Self {
        // Microseconds of the clock: incarnations rise across restarts too.
        let first_incarnation = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(1);
        Self(Arc::new(Parts {
            instances: Mutex::new(Instances::new(lease, first_incarnation)),
            revision: watch::Sender::new(0),
            epoch: format!("{:016x}", fastrand::u64(..)),
            warm_at: Instant::now() + lease,
            next_stream: AtomicU64::new(1),
            heartbeats: Mutex::default(),
        }))
    }

    /// Works on the table; whoever waits for changes is woken if there are any.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Instances) -> T) -> T {
        let mut instances = self.lock();
        let done = work(&mut instances);
        let revision = instances.changes().revision();
        drop(instances);
        self.0.revision.send_if_modified(|last| std::mem::replace(last, revision) != revision);
        done
    }

    /// Changes whenever the table does.
    pub(crate) fn revision(&self) -> watch::Receiver<u64> {
        self.0.revision.subscribe()
    }

    pub(crate) fn epoch(&self) -> &str {
        &self.0.epoch
    }

    /// When instances have had the time to come back after a restart of the registry.
    pub(crate) fn warm_at(&self) -> Instant {
        self.0.warm_at
    }

    pub(crate) fn is_warming(&self) -> bool {
        Instant::now() < self.0.warm_at
    }

    pub(crate) fn next_stream(&self) -> StreamId {
        StreamId(self.0.next_stream.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a heartbeat for the terminal.
    pub(crate) fn count_heartbeat(&self, key: &Key) {
        let mut heartbeats = self.0.heartbeats.lock().unwrap_or_else(PoisonError::into_inner);
        match heartbeats.get_mut(&key.service) {
            Some(count) => *count += 1,
            None => drop(heartbeats.insert(key.service.clone(), 1)),
        }
    }

    /// Takes down whoever is silent for its lease, until stopped.
    pub(crate) async fn expire_leases(self, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = sweep.tick() => {}
                () = stop.cancelled() => return,
            }
            for gone in self.with(|instances| instances.expire(Now::read())) {
                say_down(&gone);
            }
        }
    }

    /// Shows on the terminal which heartbeats came, until stopped.
    pub(crate) async fn show_heartbeats(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(DISPLAY) => {}
                () = stop.cancelled() => return,
            }
            let came = std::mem::take(&mut *self.0.heartbeats.lock().unwrap_or_else(PoisonError::into_inner));
            if !came.is_empty() {
                let counts: Vec<String> = came.iter().map(|(service, count)| format!("{service} {count}")).collect();
                tracing::info!(target: mesh::TERMINAL, "heartbeats in the last {} s: {}", DISPLAY.as_secs(), counts.join(", "));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.0.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that an instance came up.
pub(crate) fn say_up(key: &Key, address: &str, incarnation: u64) {
    tracing::info!(instance = %key, incarnation, "{key} UP at {address}");
}

/// Says that an instance went down, and why.
pub(crate) fn say_down(instance: &Instance) {
    let name = format!("{}/{}", instance.service, instance.instance_id);
    let reason =
        instance.down_reason().as_str_name().trim_start_matches("DOWN_REASON_").to_lowercase().replace('_', " ");
    tracing::info!(instance = name, incarnation = instance.incarnation, reason, "{name} DOWN: {reason}");
}
