//! The instance table: who is registered and until when.
//!
//! A pure state machine: the clock is an argument, and every change goes through
//! one place that gives it a revision.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::registry::{DownReason, Instance, InstanceState};

use crate::changes::Changes;
use crate::error::Error;
use crate::requests::{Key, Registration};

/// More than this is not a mesh but an accident.
const MOST_INSTANCES: usize = 100_000;

/// How long and how many instances that are DOWN are remembered, for people who ask why.
const DOWN_REMEMBERED: Duration = Duration::from_secs(600);
const MOST_DOWN: usize = 1000;

/// A look at the leases that comes this late was kept from coming: the process was paused or starved.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// One moment, on both clocks: leases run on the monotonic one, people read the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) time: jiff::Timestamp,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { instant: Instant::now(), time: jiff::Timestamp::now() }
    }
}

/// One heartbeat stream: its end takes down the leases that it renewed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamId(pub(crate) u64);

/// What a registration was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) incarnation: u64,
    pub(crate) revision: u64,
    pub(crate) lease: Duration,
}

/// The instances of the mesh.
#[derive(Debug)]
pub(crate) struct Instances {
    entries: BTreeMap<Key, Entry>,
    known_services: HashSet<String>,
    changes: Changes,
    next_incarnation: u64,
    default_lease: Duration,
    /// When leases were last looked at.
    swept: Option<Instant>,
    /// When the last pause of the registry itself ended.
    paused_until: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    instance: Arc<Instance>,
    registration: Registration,
    expires: Instant,
    heartbeat: jiff::Timestamp,
    stream: Option<StreamId>,
    down_since: Option<Instant>,
}

impl Instances {
    /// An empty table. Incarnations rise from `first_incarnation`, also across restarts of the registry.
    pub(crate) fn new(default_lease: Duration, first_incarnation: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            known_services: HashSet::new(),
            changes: Changes::default(),
            next_incarnation: first_incarnation,
            default_lease,
            swept: None,
            paused_until: None,
        }
    }

    /// Adds an instance, or takes it over; the same again changes nothing.
    pub(crate) fn register(&mut self, key: Key, registration: Registration, now: Now) -> Result<Granted, Error> {
        let lease = registration.lease.unwrap_or(self.default_lease);
        if let Some(entry) =
            self.entries.get_mut(&key).filter(|entry| entry.is_up() && entry.registration == registration)
        {
            entry.renew(lease, now);
            let incarnation = entry.instance.incarnation;
            return Ok(Granted { incarnation, revision: self.changes.revision(), lease });
        }
        if self.entries.len() >= MOST_INSTANCES && !self.entries.contains_key(&key) {
            return Err(Error::TooManyInstances(self.entries.len()));
        }
        let incarnation = self.next_incarnation;
        self.next_incarnation += 1;
        self.known_services.insert(key.service.clone());

        let instance = Arc::new(registration.instance(&key, incarnation, lease, now.time));
        let entry = Entry {
            instance: instance.clone(),
            registration,
            expires: now.instant + lease,
            heartbeat: now.time,
            stream: None,
            down_since: None,
        };
        self.entries.insert(key, entry);
        let revision = self.changes.push(instance);
        Ok(Granted { incarnation, revision, lease })
    }

    /// Renews one lease; answers whether it is held.
    pub(crate) fn beat(&mut self, beat: &Beat, stream: StreamId, now: Now) -> bool {
        let Some(entry) = self.entries.get_mut(&beat.key) else { return false };
        if !entry.is_up() || entry.instance.incarnation != beat.incarnation {
            return false;
        }
        let lease = entry.registration.lease.unwrap_or(self.default_lease);
        entry.renew(lease, now);
        entry.stream = Some(stream);
        if let Some(state) = beat.state.filter(|state| entry.instance.state() != *state) {
            let changed = entry.change(state, DownReason::Unspecified, now);
            self.changes.push(changed);
        }
        true
    }

    /// Takes an incarnation down on purpose; repeating it is harmless.
    pub(crate) fn deregister(&mut self, key: &Key, incarnation: u64, now: Now) -> Result<u64, Error> {
        let not_found = || Error::NotFound { service: key.service.clone(), instance: key.instance.clone() };
        let entry = self.entries.get_mut(key).ok_or_else(not_found)?;
        let living = entry.instance.incarnation;
        if living != incarnation {
            return Err(Error::StaleIncarnation { given: incarnation, living });
        }
        if !entry.is_up() {
            return Ok(self.changes.revision());
        }
        let changed = entry.change(InstanceState::Down, DownReason::Deregistered, now);
        Ok(self.changes.push(changed))
    }

    /// Takes down whatever a broken heartbeat stream renewed last.
    ///
    /// Shortly after a pause it is no proof of death: whoever waited in vain for
    /// answers gave the stream up. Then the lease decides.
    pub(crate) fn close(&mut self, stream: StreamId, now: Now) -> Vec<Arc<Instance>> {
        self.notice_pause(now);
        let lease = self.default_lease;
        if self.paused_until.is_some_and(|end| now.instant.saturating_duration_since(end) < lease) {
            return Vec::new();
        }
        self.take_down(DownReason::ConnectionLost, now, |entry| entry.stream == Some(stream))
    }

    /// Takes down whoever was silent for its lease, and forgets who is DOWN for long.
    pub(crate) fn expire(&mut self, now: Now) -> Vec<Arc<Instance>> {
        self.notice_pause(now);
        self.swept = Some(now.instant);
        self.forget(now);
        self.take_down(DownReason::LeaseExpired, now, |entry| entry.expires <= now.instant)
    }

    /// When nobody looked at the leases for longer than `PAUSE`, nobody could renew
    /// them either: all are longer by that time.
    fn notice_pause(&mut self, now: Now) {
        let Some(swept) = self.swept else { return };
        let paused = now.instant.saturating_duration_since(swept);
        if paused > PAUSE {
            self.entries.values_mut().for_each(|entry| entry.expires += paused);
            self.paused_until = Some(now.instant);
            self.swept = Some(now.instant);
        }
    }

    fn take_down(&mut self, reason: DownReason, now: Now, is_gone: impl Fn(&Entry) -> bool) -> Vec<Arc<Instance>> {
        let gone = self.entries.values_mut().filter(|entry| entry.is_up() && is_gone(entry));
        let changed: Vec<Arc<Instance>> = gone.map(|entry| entry.change(InstanceState::Down, reason, now)).collect();
        for instance in &changed {
            self.changes.push(instance.clone());
        }
        changed
    }

    /// DOWN is in nobody's picture, so forgetting it is no change.
    fn forget(&mut self, now: Now) {
        let mut down: Vec<Instant> = self.entries.values().filter_map(|entry| entry.down_since).collect();
        down.sort_unstable();
        let overflow = down.len().checked_sub(MOST_DOWN).and_then(|excess| down.get(excess)).copied();
        self.entries.retain(|_, entry| {
            entry.down_since.is_none_or(|since| {
                now.instant.duration_since(since) < DOWN_REMEMBERED
                    && overflow.is_none_or(|first_kept| since >= first_kept)
            })
        });
    }

    /// Instances in the order of their keys, after `after`.
    pub(crate) fn list<'a>(&'a self, after: Option<&Key>) -> impl Iterator<Item = (&'a Key, Instance)> + use<'a> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        self.entries.range((start, Bound::Unbounded)).map(|(key, entry)| (key, entry.as_listed()))
    }

    /// Instances that are not DOWN.
    pub(crate) fn up(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.entries.values().filter(|entry| entry.is_up()).map(|entry| &entry.instance)
    }

    pub(crate) fn knows(&self, service: &str) -> bool {
        self.known_services.contains(service)
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }
}

/// The renewal of one lease.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    pub(crate) key: Key,
    pub(crate) incarnation: u64,
    pub(crate) state: Option<InstanceState>,
}

impl Entry {
    fn is_up(&self) -> bool {
        self.down_since.is_none()
    }

    fn renew(&mut self, lease: Duration, now: Now) {
        self.expires = now.instant + lease;
        self.heartbeat = now.time;
    }

    fn change(&mut self, state: InstanceState, reason: DownReason, now: Now) -> Arc<Instance> {
        let changed = Instance {
            state: state.into(),
            down_reason: reason.into(),
            state_time: Some(mesh::timestamp(now.time)),
            ..Instance::clone(&self.instance)
        };
        self.instance = Arc::new(changed);
        self.down_since = (state == InstanceState::Down).then_some(now.instant);
        self.instance.clone()
    }

    fn as_listed(&self) -> Instance {
        Instance { heartbeat_time: Some(mesh::timestamp(self.heartbeat)), ..Instance::clone(&self.instance) }
    }
}

#[cfg(test)]
mod tests;
