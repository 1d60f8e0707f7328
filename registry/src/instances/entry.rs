//! One instance in the table: what is known of it, and what that makes of it.

use std::sync::Arc;
use std::time::Duration;

use proto::registry::{DownReason, EventKind, InstanceState, Load, SuspectReason};

use super::Now;
use super::record::{Condition, Record};
use super::{Beat, StreamId};
use crate::registration::{Key, Registration};

/// A beat comes each third of the lease; one that is later than this part of that is overdue.
/// With the default lease of 6 s that is 2.4 s: a loaded machine is given 0.4 s.
const OVERDUE: f64 = 1.2;

/// Short leases leave less than a busy machine's hiccup for that; it is at least this much.
const SLACK: Duration = Duration::from_millis(300);

/// How long a redial may take before an instance whose stream broke is suspect.
const REDIAL: Duration = Duration::from_millis(100);

/// One instance in the table. Times are the table's own.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Record>,
    /// What the process says of itself.
    reported: InstanceState,
    pub(crate) lease: Duration,
    pub(super) beat: Duration,
    pub(crate) heartbeat: jiff::Timestamp,
    pub(crate) load: Option<Load>,
    pub(super) stream: Option<StreamId>,
    /// Since when its stream is broken, without proof that it is dead.
    pub(super) lost: Option<Duration>,
    /// Since when its lapsed lease is held.
    pub(super) held: Option<Duration>,
    pub(super) health: Health,
    /// Probes in a row that were not answered.
    pub(super) unanswered: u32,
    /// When it is probed next, if it asked for that.
    pub(super) next_probe: Option<Duration>,
    /// A probe is under way.
    pub(super) probing: bool,
    /// It said goodbye and waits until everybody knows.
    pub(super) leaving: bool,
    pub(super) operator: Operator,
    /// When the agenda looks at it.
    pub(super) check_at: Duration,
    pub(super) down_since: Option<Duration>,
}

/// What its own probes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Nobody asked for probes.
    Unasked,
    /// No answer yet.
    Unknown,
    Serving,
    NotServing,
}

/// What an operator wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Nothing,
    Drained,
    /// Not drained any more; the process does not know yet.
    Undrained,
    /// Down, until an operator or its next start.
    Down,
}

/// What a process should do, as the answer to its beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Drain,
    Undrain,
    RegisterAgain,
    ChangeLease(Duration),
}

impl Entry {
    pub(super) fn new(
        key: Key,
        incarnation: u64,
        registration: Arc<Registration>,
        lease: Duration,
        (at, now): (Duration, Now),
    ) -> Self {
        let reported = registration.state;
        // A process that was drained stays so when it registers with another registry, or a new life of this one.
        let operator = if reported == InstanceState::Draining { Operator::Drained } else { Operator::Nothing };
        let health = if registration.probe.is_some() { Health::Unknown } else { Health::Unasked };
        let next_probe = registration.probe.is_some().then_some(at);
        let condition = Condition {
            state: effective(reported, health, operator == Operator::Drained),
            down: DownReason::Unspecified,
            suspect: SuspectReason::Unspecified,
            held: false,
            drained: operator == Operator::Drained,
        };
        let record = Record { key, incarnation, registration, condition, lease, registered: now.time, since: now.time };
        Self {
            record: Arc::new(record),
            reported,
            lease,
            beat: at,
            heartbeat: now.time,
            load: None,
            stream: None,
            lost: None,
            held: None,
            health,
            unanswered: 0,
            next_probe,
            probing: false,
            leaving: false,
            operator,
            check_at: Duration::MAX,
            down_since: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.down_since.is_none()
    }

    /// Whether it is beating on a stream of its own, beyond doubt.
    pub(super) fn is_living(&self) -> bool {
        self.is_up() && self.stream.is_some() && !self.record.condition.is_suspect()
    }

    /// Takes in a sign of life.
    pub(super) fn renew(&mut self, at: Duration, now: Now) {
        self.beat = at;
        self.heartbeat = now.time;
        self.lost = None;
        self.held = None;
        if self.health == Health::Unasked {
            self.unanswered = 0;
        }
    }

    /// Takes in the same registration once more; whoever was leaving stays.
    pub(super) fn register_again(&mut self, state: InstanceState, at: Duration, now: Now) {
        self.renew(at, now);
        self.leaving = false;
        self.reported = state;
    }

    /// Whether an operator lets this start of the process take calls again, which it does not know yet.
    pub(super) fn pardons(&self, registration: &Registration) -> bool {
        self.operator == Operator::Undrained && self.record.registration.boot_nonce == registration.boot_nonce
    }

    /// It is not drained, although it says so.
    pub(super) fn pardon(&mut self, at: Duration, now: Now) {
        self.operator = Operator::Undrained;
        self.settle(at, now);
    }

    /// A redial did not prove that it is dead: it is in doubt without further waiting.
    pub(super) fn doubt(&mut self, at: Duration) {
        self.lost = Some(at.saturating_sub(REDIAL));
    }

    /// Takes in a beat; answers what the process should know.
    pub(super) fn hear(&mut self, beat: &Beat, stream: StreamId, at: Duration, now: Now) -> Option<Order> {
        self.renew(at, now);
        self.stream = Some(stream);
        if beat.load.is_some() {
            self.load = beat.load;
        }
        self.reported = beat.state.unwrap_or(self.reported);
        match self.operator {
            Operator::Drained if self.reported != InstanceState::Draining => Some(Order::Drain),
            Operator::Undrained if self.reported == InstanceState::Draining => Some(Order::Undrain),
            Operator::Undrained => {
                self.operator = Operator::Nothing;
                None
            }
            _ => None,
        }
    }

    /// How long it may be silent before it is suspect.
    fn patience(&self) -> Duration {
        let period = self.lease / 3;
        period.mul_f64(OVERDUE).max(period + SLACK).min(self.lease)
    }

    fn suspicion(&self, at: Duration) -> SuspectReason {
        if self.held.is_some() || at >= self.beat + self.patience() {
            SuspectReason::Silent
        } else if self.lost.is_some_and(|since| at >= since + REDIAL) {
            SuspectReason::ConnectionLost
        } else if self.unanswered > 0 {
            SuspectReason::ProbeUnanswered
        } else {
            SuspectReason::Unspecified
        }
    }

    /// When it has to be looked at again, after `at`.
    pub(super) fn next_check(&self, at: Duration, warm_at: Duration) -> Duration {
        let silence = match (self.held, at >= self.beat + self.patience()) {
            (Some(_), _) => at + self.lease / 3,
            (None, true) => (self.beat + self.lease).max(warm_at),
            (None, false) => self.beat + self.patience(),
        };
        let redial = self.lost.map(|since| since + REDIAL).filter(|due| *due > at);
        let next = [redial, self.next_probe].into_iter().flatten().fold(silence, Duration::min);
        next.max(at + Duration::from_millis(1))
    }

    /// What everybody should be told of it now, if that is news.
    pub(super) fn settle(&mut self, at: Duration, now: Now) -> Option<EventKind> {
        if !self.is_up() {
            return None;
        }
        let drained = self.operator == Operator::Drained;
        let after = Condition {
            state: effective(self.reported, self.health, drained || self.leaving),
            down: DownReason::Unspecified,
            suspect: self.suspicion(at),
            held: self.held.is_some(),
            drained,
        };
        self.become_of(after, now)
    }

    /// It is gone.
    pub(super) fn fall(&mut self, reason: DownReason, at: Duration, now: Now) -> Option<EventKind> {
        self.down_since = Some(at);
        self.stream = None;
        self.become_of(Condition::down(reason), now)
    }

    fn become_of(&mut self, after: Condition, now: Now) -> Option<EventKind> {
        let before = self.record.condition;
        if before == after {
            return None;
        }
        let since = if before.state == after.state { self.record.since } else { now.time };
        self.record = Arc::new(Record { condition: after, since, lease: self.lease, ..Record::clone(&self.record) });
        Some(kind(&before, &after))
    }
}

/// What callers should believe of its state.
fn effective(reported: InstanceState, health: Health, drains: bool) -> InstanceState {
    match (reported, health) {
        _ if drains => InstanceState::Draining,
        (InstanceState::Ready, Health::Unknown) => InstanceState::Starting,
        (InstanceState::Ready, Health::NotServing) => InstanceState::NotReady,
        _ => reported,
    }
}

fn kind(before: &Condition, after: &Condition) -> EventKind {
    let begins = |state| before.state != state && after.state == state;
    if begins(InstanceState::Down) {
        EventKind::WentDown
    } else if before.drained && !after.drained {
        EventKind::Undrained
    } else if begins(InstanceState::Draining) || (after.drained && !before.drained) {
        EventKind::Drained
    } else if before.state != after.state {
        EventKind::StateChanged
    } else if after.is_suspect() {
        EventKind::Suspected
    } else {
        EventKind::Cleared
    }
}
