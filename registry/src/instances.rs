//! The instance table: who is registered, until when, and who is in doubt.
//!
//! A pure state machine: the clock is an argument, what is to be probed or told to
//! a process is handed out by [`Instances::errands`], and every change goes through
//! one place that gives it a revision. Its own time stops while nobody looks at it,
//! so that a registry that was stopped punishes nobody for it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::registry::{DownReason, EventKind, InstanceState, Load};

use crate::changes::{Changes, What};
use crate::error::Error;
use crate::registration::{Key, Registration};

mod agenda;
mod entry;
mod listing;
mod operator;
mod probes;
mod protection;
mod record;
mod sweep;

use agenda::Agenda;
use entry::Operator;
pub(crate) use entry::{Entry, Order};
pub(crate) use listing::Selector;
pub(crate) use probes::{Finding, Probe, Purpose};
use protection::Protection;
pub(crate) use protection::{Protected, Scope};
pub(crate) use record::Record;

/// More than this is not a mesh but an accident.
const MOST_INSTANCES: usize = 100_000;

/// When nobody looked at the table for this long, nobody heard beats either: its time stands still.
/// Somebody looks each 50 ms.
const STARVED: Duration = Duration::from_millis(200);

/// When it was as long as this, clients have given streams up that they waited on in vain.
const PAUSED: Duration = Duration::from_secs(1);

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

/// One heartbeat stream: its end puts in doubt the leases that it renewed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamId(pub(crate) u64);

/// What a registration was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) incarnation: u64,
    pub(crate) revision: u64,
    pub(crate) lease: Duration,
}

/// The renewal of one lease.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    pub(crate) key: Key,
    pub(crate) incarnation: u64,
    pub(crate) state: Option<InstanceState>,
    pub(crate) load: Option<Load>,
}

/// How the table decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What is granted to who does not care.
    pub(crate) lease: Duration,
    /// Beats a second that the registry wants to hear at most: beyond that it grants longer leases.
    pub(crate) most_beats: f64,
    /// Incarnations rise from here, also across restarts of the registry.
    pub(crate) first_incarnation: u64,
}

/// What others have to do for the table.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    pub(crate) probes: Vec<Probe>,
    pub(crate) orders: Vec<(StreamId, Key, u64, Order)>,
}

/// The instances of the mesh.
#[derive(Debug)]
pub(crate) struct Instances {
    rules: Rules,
    services: BTreeMap<Arc<str>, Service>,
    streams: HashMap<StreamId, HashSet<Key>>,
    /// Who went DOWN, the first first; some of them may be back.
    downs: VecDeque<(Duration, Key, u64)>,
    /// Instances that are remembered, DOWN ones too.
    count: usize,
    agenda: Agenda,
    protection: Protection,
    changes: Changes,
    errands: Errands,
    next_incarnation: u64,
    clock: Clock,
}

/// The table's own time: that in which somebody looked at it.
#[derive(Debug)]
struct Clock {
    started: Instant,
    looked: Duration,
    stopped: Duration,
    /// When the last long pause ended, in the table's time.
    paused: Option<Duration>,
    warm_at: Duration,
    warm: bool,
}

/// The instances of one service. It is remembered when all are gone.
#[derive(Debug, Default)]
struct Service {
    instances: BTreeMap<Arc<str>, Entry>,
    /// Who has which address, of those that are up.
    addresses: HashMap<SocketAddr, Arc<str>>,
    beats: u64,
}

/// What the table knew of an instance when it registered.
struct Before {
    is_new: bool,
    is_up: bool,
    is_pardoned: bool,
    check_at: Duration,
}

impl Instances {
    /// An empty table that is warming up: for one lease nobody goes DOWN for silence.
    pub(crate) fn new(rules: Rules, now: Now) -> Self {
        let clock = Clock {
            started: now.instant,
            looked: Duration::ZERO,
            stopped: Duration::ZERO,
            paused: None,
            warm_at: rules.lease,
            warm: false,
        };
        Self {
            rules,
            services: BTreeMap::new(),
            streams: HashMap::new(),
            downs: VecDeque::new(),
            count: 0,
            agenda: Agenda::default(),
            protection: Protection::new(rules.lease),
            changes: Changes::default(),
            errands: Errands::default(),
            next_incarnation: rules.first_incarnation,
            clock,
        }
    }

    /// Adds an instance, or takes it over; the same again changes nothing.
    pub(crate) fn register(&mut self, key: &Key, registration: &Arc<Registration>, now: Now) -> Result<Granted, Error> {
        let at = self.look(now);
        let lease = self.grant(registration);
        let mut before = Before { is_new: true, is_up: false, is_pardoned: false, check_at: Duration::MAX };
        if let Some(entry) = self.entry_mut(key) {
            let is_same = entry.record.registration.is_same_as(registration);
            if entry.operator == Operator::Down && entry.record.registration.boot_nonce == registration.boot_nonce {
                return Err(Error::TakenDown(key.clone()));
            }
            if entry.is_up() && is_same {
                entry.lease = lease;
                let incarnation = entry.record.incarnation;
                self.change(key, now, at, |entry| entry.register_again(registration.state, at, now));
                return Ok(Granted { incarnation, revision: self.changes.revision(), lease });
            }
            let is_pardoned = entry.pardons(registration);
            before = Before { is_new: false, is_up: entry.is_up(), is_pardoned, check_at: entry.check_at };
        }
        if let Some(holder) = self.holder(key, registration.address) {
            if self.entry(&holder).is_some_and(Entry::is_living) {
                return Err(Error::AddressTaken { holder, address: registration.address });
            }
            self.take_down(&holder, DownReason::Superseded, at, now);
        }
        if self.count >= MOST_INSTANCES && before.is_new {
            return Err(Error::TooManyInstances(self.count));
        }
        if before.is_up {
            self.take_down(key, DownReason::Superseded, at, now);
        }
        let incarnation = self.next_incarnation;
        self.next_incarnation += 1;
        let mut entry = Entry::new(key.clone(), incarnation, registration.clone(), lease, (at, now));
        if before.is_pardoned {
            entry.pardon(at, now);
        }
        let revision = self.add(key, entry, &before, now);
        Ok(Granted { incarnation, revision, lease })
    }

    /// Renews one lease; answers what the process should do, if anything.
    pub(crate) fn beat(&mut self, beat: &Beat, stream: StreamId, now: Now) -> Option<Order> {
        let at = self.look(now);
        let floor = self.floor();
        let default = self.rules.lease;
        let service = self.services.get_mut(&beat.key.service);
        let known = service.and_then(|service| {
            service.beats += 1;
            service.instances.get_mut(&beat.key.instance)
        });
        let Some(entry) = known.filter(|entry| entry.is_up() && entry.record.incarnation == beat.incarnation) else {
            return Some(Order::RegisterAgain);
        };
        if entry.stream != Some(stream) {
            self.streams.entry(stream).or_default().insert(beat.key.clone());
        }
        let lease = entry.record.registration.terms.grant(default, floor);
        // A little more or less is not worth telling.
        let is_other = lease < entry.lease.mul_f64(0.8) || lease > entry.lease.mul_f64(1.25);
        if is_other {
            entry.lease = lease;
        }
        let mut order = None;
        self.change(&beat.key, now, at, |entry| order = entry.hear(beat, stream, at, now));
        order.or(is_other.then_some(Order::ChangeLease(lease)))
    }

    /// Takes an incarnation down on purpose; with `drain` it only begins to leave. Repeating it is harmless.
    pub(crate) fn deregister(&mut self, key: &Key, incarnation: u64, drain: bool, now: Now) -> Result<u64, Error> {
        let at = self.look(now);
        let entry = self.entry_mut(key).ok_or_else(|| Error::not_found(key))?;
        let living = entry.record.incarnation;
        if living != incarnation {
            return Err(Error::StaleIncarnation { given: incarnation, living });
        }
        if drain {
            self.change(key, now, at, |entry| entry.leaving = true);
        } else {
            self.take_down(key, DownReason::Deregistered, at, now);
        }
        Ok(self.changes.revision())
    }

    /// Puts in doubt whatever a broken heartbeat stream renewed last: its addresses are dialled.
    ///
    /// Shortly after a pause even a refused connection is no proof of death: whoever
    /// waited in vain for answers gave the stream up. Then the lease decides.
    pub(crate) fn close(&mut self, stream: StreamId, now: Now) {
        let at = self.look(now);
        let trusts = self.clock.paused.is_none_or(|end| at >= end + self.rules.lease);
        let mut redials: HashMap<SocketAddr, Probe> = HashMap::new();
        for key in self.streams.remove(&stream).unwrap_or_default() {
            let Some(entry) = self.entry_mut(&key).filter(|entry| entry.stream == Some(stream)) else { continue };
            entry.stream = None;
            entry.lost = Some(at);
            if trusts {
                let probe = Probe::redial(&entry.record);
                redials.entry(probe.address).or_insert(probe).leases.push((key.clone(), entry.record.incarnation));
            }
            self.reschedule(&key, at);
        }
        self.errands.probes.extend(redials.into_values());
    }

    /// What others have to do for the table; each errand is handed out once.
    pub(crate) fn errands(&mut self) -> Errands {
        std::mem::take(&mut self.errands)
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Looks at the clock: time in which nobody did has not passed.
    fn look(&mut self, now: Now) -> Duration {
        let real = now.instant.saturating_duration_since(self.clock.started);
        let gap = real.saturating_sub(self.clock.looked);
        self.clock.looked = self.clock.looked.max(real);
        if gap > STARVED {
            self.clock.stopped += gap;
        }
        let at = self.clock.looked - self.clock.stopped;
        if gap > PAUSED {
            self.clock.paused = Some(at);
            self.changes.push(now.time, What::Paused(gap));
        }
        at
    }

    fn grant(&self, registration: &Registration) -> Duration {
        registration.terms.grant(self.rules.lease, self.floor())
    }

    /// The shortest lease for which all beats together are not too many, in whole seconds.
    fn floor(&self) -> Duration {
        Duration::from_secs((self.count as f64 * 3.0 / self.rules.most_beats).ceil() as u64)
    }

    fn entry(&self, key: &Key) -> Option<&Entry> {
        self.services.get(&key.service)?.instances.get(&key.instance)
    }

    fn entry_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        self.services.get_mut(&key.service)?.instances.get_mut(&key.instance)
    }

    /// Another instance of the service at this address.
    fn holder(&self, key: &Key, address: SocketAddr) -> Option<Key> {
        let holder = self.services.get(&key.service)?.addresses.get(&address)?;
        (*holder != key.instance).then(|| Key { service: key.service.clone(), instance: holder.clone() })
    }

    fn add(&mut self, key: &Key, mut entry: Entry, before: &Before, now: Now) -> u64 {
        let at = entry.beat;
        let record = entry.record.clone();
        // One that was there is on the agenda at its time: it need not be added again.
        let next = entry.next_check(at, self.clock.warm_at);
        entry.check_at = next.min(before.check_at);
        if next < before.check_at {
            self.agenda.add(next, key.clone());
        }
        let service = self.services.entry(key.service.clone()).or_default();
        service.addresses.insert(record.registration.address, key.instance.clone());
        service.instances.insert(key.instance.clone(), entry);
        self.count += usize::from(before.is_new);
        self.protection.count(None, &record);
        let what = What::Instance { kind: EventKind::Registered, now: record, before: InstanceState::Unspecified };
        self.changes.push(now.time, what)
    }

    /// Changes an instance, and tells everybody if that is news.
    fn change(&mut self, key: &Key, now: Now, at: Duration, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entry_mut(key) else { return };
        change(entry);
        let before = entry.record.clone();
        let Some(kind) = entry.settle(at, now) else { return };
        let after = entry.record.clone();
        self.tell(kind, &before, after, now);
    }

    fn take_down(&mut self, key: &Key, reason: DownReason, at: Duration, now: Now) {
        let Some(service) = self.services.get_mut(&key.service) else { return };
        let Some(entry) = service.instances.get_mut(&key.instance).filter(|entry| entry.is_up()) else { return };
        let before = entry.record.clone();
        let address = before.registration.address;
        let Some(kind) = entry.fall(reason, at, now) else { return };
        let after = entry.record.clone();
        if service.addresses.get(&address) == Some(&key.instance) {
            service.addresses.remove(&address);
        }
        self.downs.push_back((at, key.clone(), after.incarnation));
        self.tell(kind, &before, after, now);
    }

    fn tell(&mut self, kind: EventKind, before: &Record, after: Arc<Record>, now: Now) {
        self.protection.count(Some(before), &after);
        let before = before.condition.state;
        self.changes.push(now.time, What::Instance { kind, now: after, before });
    }

    /// Puts an instance on the agenda, unless it is there for an earlier time.
    fn reschedule(&mut self, key: &Key, at: Duration) {
        let warm_at = self.clock.warm_at;
        let Some(entry) = self.entry_mut(key).filter(|entry| entry.is_up()) else { return };
        let next = entry.next_check(at, warm_at);
        if next < entry.check_at {
            entry.check_at = next;
            self.agenda.add(next, key.clone());
        }
    }
}

#[cfg(test)]
mod tests;
