//! What the passing of time does: doubt, lapses, probes, forgetting.

use std::time::Duration;

use proto::registry::DownReason;

use super::entry::{Entry, Health, Operator};
use super::{Instances, Now, Probe, Purpose};
use crate::changes::What;
use crate::registration::Key;

/// How long and how many instances that are DOWN are remembered, for people who ask why.
pub(super) const DOWN_REMEMBERED: Duration = Duration::from_secs(600);
const MOST_DOWN: usize = 1000;

/// How many services without any instance are remembered, to tell them from unknown ones.
const MOST_EMPTY: usize = 10_000;

/// A held lease that cannot be resolved, because its host can neither be reached nor
/// refuses, ends after this many leases all the same.
const LONGEST_HOLD: u32 = 20;

impl Instances {
    /// Looks at everybody whose time has come.
    pub(crate) fn sweep(&mut self, now: Now) {
        let at = self.look(now);
        if !self.clock.warm && at >= self.clock.warm_at {
            self.clock.warm = true;
            self.changes.push(now.time, What::Warmed);
        }
        while let Some((due, key)) = self.agenda.next(at) {
            // Taken over, forgotten, or put on the agenda for an earlier time.
            if self.entry(&key).is_none_or(|entry| entry.check_at != due) {
                continue;
            }
            if let Some(entry) = self.entry_mut(&key) {
                entry.check_at = Duration::MAX;
            }
            self.examine(&key, at, now);
            self.reschedule(&key, at);
        }
        for ended in self.protection.end(at) {
            let (suspects, instances) = (ended.suspects, ended.instances);
            self.changes.push(now.time, What::Protection { began: false, scope: ended.scope, suspects, instances });
        }
        self.forget(at);
    }

    fn examine(&mut self, key: &Key, at: Duration, now: Now) {
        self.change(key, now, at, |_| ());
        let warm = self.clock.warm;
        let Some(entry) = self.entry_mut(key).filter(|entry| entry.is_up()) else { return };
        if entry.next_probe.is_some_and(|due| due <= at) {
            let probe = entry.periodic_probe(at);
            self.errands.probes.extend(probe);
        }
        if self.entry(key).is_some_and(|entry| at >= entry.beat + entry.lease) && warm {
            self.lapse(key, at, now);
        }
    }

    /// A lease ran out: it is the end, unless too many do at once.
    fn lapse(&mut self, key: &Key, at: Duration, now: Now) {
        let Some(record) = self.entry(key).map(|entry| entry.record.clone()) else { return };
        let (holds, began) = self.protection.holds(&record, at, now);
        for began in began {
            let (suspects, instances) = (began.suspects, began.instances);
            self.changes.push(now.time, What::Protection { began: true, scope: began.scope, suspects, instances });
        }
        let Some(entry) = self.entry_mut(key) else { return };
        let since = *entry.held.get_or_insert(at);
        if !holds || at >= since + entry.lease * LONGEST_HOLD {
            self.protection.lapsed(&record, at);
            self.take_down(key, DownReason::LeaseExpired, at, now);
            return;
        }
        if !std::mem::replace(&mut entry.probing, true) {
            let probe = Probe::of(&record, Purpose::Held);
            self.errands.probes.push(probe);
        }
        self.change(key, now, at, |_| ());
    }

    /// DOWN is in nobody's picture, so forgetting it is no change.
    fn forget(&mut self, at: Duration) {
        while let Some((since, ..)) = self.downs.front() {
            if at < *since + DOWN_REMEMBERED && self.downs.len() <= MOST_DOWN {
                break;
            }
            let Some((_, key, incarnation)) = self.downs.pop_front() else { break };
            let Some(service) = self.services.get_mut(&key.service) else { continue };
            // Whom an operator took down is remembered: it may not come back.
            let is_that = |entry: &Entry| {
                !entry.is_up() && entry.record.incarnation == incarnation && entry.operator != Operator::Down
            };
            if service.instances.get(&key.instance).is_some_and(is_that) {
                service.instances.remove(&key.instance);
                self.count -= 1;
            }
        }
        if self.services.len() > MOST_EMPTY {
            let mut excess = self.services.len() - MOST_EMPTY;
            self.services.retain(|_, service| {
                let goes = excess > 0 && service.instances.is_empty();
                excess -= usize::from(goes);
                !goes
            });
        }
    }
}

impl Entry {
    /// The probe that is due, unless one is under way.
    fn periodic_probe(&mut self, at: Duration) -> Option<Probe> {
        let probing = self.record.registration.probe.as_ref()?;
        self.next_probe = Some(at + probing.period);
        let is_free = !std::mem::replace(&mut self.probing, true);
        (is_free && self.health != Health::Unasked).then(|| Probe::of(&self.record, Purpose::Asked))
    }
}
