//! Self-preservation: when too many leases lapse at once, it is not they who are ill.
//!
//! A service, a zone and the whole are looked at apart. Doubtful are those that are
//! suspect, and those whose lease lapsed within the last lease; proof of death
//! makes nobody doubtful.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Now;
use super::record::Record;

/// More than this part of a scope, and more than this many, are too many (Eureka's 15 %; and a pair may die together).
const PART: f64 = 0.15;
const FEW: f64 = 2.0;

/// What is looked at as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Service(Arc<str>),
    Zone(Arc<str>),
    Whole,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(name) => write!(f, "the service {name}"),
            Self::Zone(name) => write!(f, "the zone {name}"),
            Self::Whole => f.write_str("all instances"),
        }
    }
}

/// A scope whose lapsed leases are held.
#[derive(Debug, Clone)]
pub(crate) struct Protected {
    pub(crate) scope: Scope,
    pub(crate) since: jiff::Timestamp,
    pub(crate) suspects: u32,
    pub(crate) instances: u32,
}

/// How many are up and doubtful, by scope.
#[derive(Debug)]
pub(super) struct Protection {
    scopes: HashMap<Scope, Counts>,
    /// Lapses are counted for this long: one lease.
    window: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    up: u32,
    suspects: u32,
    /// When leases lapsed that were not held.
    lapses: VecDeque<Duration>,
    since: Option<jiff::Timestamp>,
}

impl Protection {
    pub(super) fn new(window: Duration) -> Self {
        Self { scopes: HashMap::new(), window }
    }

    /// Counts a change of one instance; a record that is none stands for one that is not there.
    pub(super) fn count(&mut self, before: Option<&Record>, after: &Record) {
        let weigh = |record: &Record| {
            let condition = record.condition;
            (i64::from(condition.is_up()), i64::from(condition.is_up() && condition.is_suspect()))
        };
        let ((up_before, suspect_before), (up, suspect)) = (before.map(weigh).unwrap_or_default(), weigh(after));
        let (up, suspect) = (up - up_before, suspect - suspect_before);
        if (up, suspect) == (0, 0) {
            return;
        }
        for scope in scopes(after) {
            let counts = self.scopes.entry(scope).or_default();
            counts.up = counts.up.saturating_add_signed(up as i32);
            counts.suspects = counts.suspects.saturating_add_signed(suspect as i32);
        }
    }

    /// Whether a lapse of this instance is one of too many; and which scope became protected by it.
    pub(super) fn holds(&mut self, record: &Record, at: Duration, now: Now) -> (bool, Vec<Protected>) {
        let (mut holds, mut began) = (false, Vec::new());
        for scope in scopes(record) {
            let Some(counts) = self.scopes.get_mut(&scope) else { continue };
            counts.forget(at, self.window);
            if !counts.is_exceeded() {
                continue;
            }
            holds = true;
            if counts.since.is_none() {
                counts.since = Some(now.time);
                began.push(counts.protected(scope, now.time));
            }
        }
        (holds, began)
    }

    /// Counts a lease that lapsed and was not held.
    pub(super) fn lapsed(&mut self, record: &Record, at: Duration) {
        for scope in scopes(record) {
            if let Some(counts) = self.scopes.get_mut(&scope) {
                counts.lapses.push_back(at);
            }
        }
    }

    /// Ends what is over, and forgets scopes that nobody is in.
    pub(super) fn end(&mut self, at: Duration) -> Vec<Protected> {
        let mut ended = Vec::new();
        for (scope, counts) in &mut self.scopes {
            counts.forget(at, self.window);
            if let Some(since) =
                counts.since.take_if(|_| !counts_exceed(counts.up, counts.suspects, counts.lapses.len()))
            {
                ended.push(counts.protected(scope.clone(), since));
            }
        }
        self.scopes.retain(|_, counts| counts.up > 0 || !counts.lapses.is_empty());
        ended
    }

    /// What is protected now.
    pub(super) fn active(&self) -> impl Iterator<Item = Protected> + use<'_> {
        self.scopes
            .iter()
            .filter_map(|(scope, counts)| counts.since.map(|since| counts.protected(scope.clone(), since)))
    }
}

impl Counts {
    fn forget(&mut self, at: Duration, window: Duration) {
        while self.lapses.front().is_some_and(|lapse| at.saturating_sub(*lapse) >= window) {
            self.lapses.pop_front();
        }
    }

    fn is_exceeded(&self) -> bool {
        counts_exceed(self.up, self.suspects, self.lapses.len())
    }

    fn protected(&self, scope: Scope, since: jiff::Timestamp) -> Protected {
        Protected { scope, since, suspects: self.suspects, instances: self.up }
    }
}

fn counts_exceed(up: u32, suspects: u32, lapses: usize) -> bool {
    let lapses = lapses as f64;
    f64::from(suspects) + lapses > ((f64::from(up) + lapses) * PART).max(FEW)
}

/// What an instance belongs to. Without zones there is only one, which is the whole.
fn scopes(record: &Record) -> impl Iterator<Item = Scope> + use<> {
    let zone = &record.registration.zone;
    let zone = (!zone.is_empty()).then(|| Scope::Zone(zone.clone()));
    [Some(Scope::Service(record.key.service.clone())), zone, Some(Scope::Whole)].into_iter().flatten()
}
