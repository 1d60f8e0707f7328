//! Probes: what is asked of an address, and what the answer means for the instance.

use std::net::SocketAddr;

use proto::registry::DownReason;

use super::entry::Health;
use super::record::Record;
use super::{Instances, Now};
use crate::registration::Key;

/// An instance that leaves so many probes in a row unanswered is dead.
const MOST_UNANSWERED: u32 = 3;

/// Something to ask of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) address: SocketAddr,
    /// What `grpc.health.v1` is asked for; empty is the whole process.
    pub(crate) health_service: String,
    pub(crate) purpose: Purpose,
    /// Whom the answer is about: the incarnations of a process.
    pub(crate) leases: Vec<(Key, u64)>,
}

/// Why it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A heartbeat stream broke: is somebody there?
    Redial,
    /// A lapsed lease is held.
    Held,
    /// The instance wants to be probed.
    Asked,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The host says that nobody listens: proof of death.
    Refused,
    /// Nobody says anything: the host or the network is gone.
    Unreachable,
    /// The connection was taken and nothing was answered.
    Silent,
    NotServing,
    Serving,
}

impl Probe {
    pub(super) fn redial(record: &Record) -> Self {
        Self {
            address: record.registration.address,
            health_service: String::new(),
            purpose: Purpose::Redial,
            leases: Vec::new(),
        }
    }

    pub(super) fn of(record: &Record, purpose: Purpose) -> Self {
        let service = record.registration.probe.as_ref().map(|probing| probing.service.clone());
        Self {
            address: record.registration.address,
            health_service: service.unwrap_or_default(),
            purpose,
            leases: vec![(record.key.clone(), record.incarnation)],
        }
    }
}

impl Instances {
    /// Takes in what came of a probe.
    pub(crate) fn probed(&mut self, probe: &Probe, finding: Finding, now: Now) {
        let at = self.look(now);
        for (key, incarnation) in &probe.leases {
            let entry = self.entry_mut(key).filter(|entry| entry.is_up() && entry.record.incarnation == *incarnation);
            let Some(entry) = entry else { continue };
            let verdict = match probe.purpose {
                Purpose::Redial if entry.lost.is_none() => None,
                Purpose::Redial => {
                    entry.doubt(at);
                    (finding == Finding::Refused).then_some(DownReason::ConnectionLost)
                }
                Purpose::Held | Purpose::Asked => {
                    entry.probing = false;
                    entry.take_in(probe.purpose, finding)
                }
            };
            match verdict {
                Some(reason) => self.take_down(key, reason, at, now),
                None => self.change(key, now, at, |_| ()),
            }
        }
    }
}

impl super::Entry {
    fn take_in(&mut self, purpose: Purpose, finding: Finding) -> Option<DownReason> {
        if purpose == Purpose::Held && self.held.is_none() {
            // It has beaten in the meantime.
            return None;
        }
        match finding {
            Finding::Serving | Finding::NotServing => {
                self.unanswered = 0;
                if self.health != Health::Unasked {
                    let serves = finding == Finding::Serving;
                    self.health = if serves { Health::Serving } else { Health::NotServing };
                }
                return None;
            }
            Finding::Refused if purpose == Purpose::Held => return Some(DownReason::ProbeFailed),
            // It may well be our side of the network: no proof, and no end of the hold.
            Finding::Unreachable if purpose == Purpose::Held => return None,
            Finding::Refused | Finding::Silent | Finding::Unreachable => self.unanswered += 1,
        }
        (self.unanswered >= MOST_UNANSWERED).then_some(DownReason::ProbeFailed)
    }
}
