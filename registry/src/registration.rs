//! What an instance says of itself when it registers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::registry::InstanceState;

/// Names one instance of one service. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) service: Arc<str>,
    pub(crate) instance: Arc<str>,
}

impl Key {
    pub(crate) fn new(service: &str, instance: &str) -> Self {
        Self { service: service.into(), instance: instance.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.service, self.instance)
    }
}

/// What an instance said of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Registration {
    pub(crate) boot_nonce: u64,
    pub(crate) address: SocketAddr,
    pub(crate) version: String,
    pub(crate) state: InstanceState,
    pub(crate) zone: Arc<str>,
    pub(crate) weight: u32,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) required_services: Vec<String>,
    pub(crate) terms: Terms,
    pub(crate) links: BTreeMap<String, String>,
    pub(crate) probe: Option<Probing>,
}

impl Registration {
    /// Whether the same start of a process says the same of itself; its state may be another one by now.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let Self { boot_nonce, address, version, state: _, zone, weight, metadata, required_services, .. } = self;
        let Self { terms, links, probe, .. } = self;
        *boot_nonce == other.boot_nonce
            && *address == other.address
            && *version == other.version
            && *zone == other.zone
            && *weight == other.weight
            && *metadata == other.metadata
            && *required_services == other.required_services
            && *terms == other.terms
            && *links == other.links
            && *probe == other.probe
    }
}

/// How an instance wants to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probing {
    /// What `grpc.health.v1` is asked for; empty is the whole process.
    pub(crate) service: String,
    pub(crate) period: Duration,
}

/// Nothing shorter or longer than this is granted.
pub(crate) const SHORTEST_LEASE: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(300);

/// How long an instance may be silent, as it would have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) min: Duration,
    pub(crate) want: Option<Duration>,
    pub(crate) max: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { min: SHORTEST_LEASE, want: None, max: LONGEST_LEASE }
    }
}

impl Terms {
    /// The lease that is granted: what is wanted, or more when the registry cannot take so many beats.
    pub(crate) fn grant(&self, default: Duration, floor: Duration) -> Duration {
        self.want.unwrap_or(default).max(floor).clamp(self.min, self.max)
    }

    /// Whether these terms can be met.
    pub(crate) fn are_possible(&self) -> bool {
        let lasts = SHORTEST_LEASE <= self.min && self.min <= self.max && self.max <= LONGEST_LEASE;
        lasts && self.want.is_none_or(|want| (self.min..=self.max).contains(&want))
    }
}

#[cfg(test)]
impl Registration {
    /// A registration with nothing special; the port tells instances apart.
    pub(crate) fn sample(boot_nonce: u64, port: u16) -> Self {
        Self {
            boot_nonce,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            version: "1.0.0".to_owned(),
            state: InstanceState::Ready,
            zone: "".into(),
            weight: 100,
            metadata: BTreeMap::new(),
            required_services: Vec::new(),
            terms: Terms::default(),
            links: BTreeMap::new(),
            probe: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lease_is_what_was_wanted_within_its_bounds() {
        let terms = |min: u32, want: Option<u32>, max: u32| Terms {
            min: SECOND * min,
            want: want.map(|want| SECOND * want),
            max: SECOND * max,
        };

        assert_eq!(Terms::default().grant(SECOND * 6, SECOND), SECOND * 6);
        assert_eq!(terms(1, Some(2), 300).grant(SECOND * 6, SECOND), SECOND * 2);
        assert_eq!(terms(1, Some(2), 300).grant(SECOND * 6, SECOND * 15), SECOND * 15, "a busy registry grants more");
        assert_eq!(terms(1, Some(2), 4).grant(SECOND * 6, SECOND * 15), SECOND * 4, "but never more than the most");
        assert_eq!(terms(10, None, 20).grant(SECOND * 6, SECOND), SECOND * 10);
    }

    #[test]
    fn terms_that_contradict_themselves_are_impossible() {
        let terms = |min: u32, want: u32, max: u32| {
            Terms { min: SECOND * min, want: Some(SECOND * want), max: SECOND * max }.are_possible()
        };

        assert!(terms(1, 6, 300));
        assert!(!terms(0, 6, 300) && !terms(1, 6, 301) && !terms(7, 6, 8) && !terms(1, 9, 8) && !terms(5, 5, 4));
    }
}
