//! Reading the table: lists, selectors, and what is missing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use proto::registry::{Instance, InstanceState};

use super::{Entry, Instances, Now, Protected, Record};
use crate::registration::Key;

/// Which instances are wanted; what is not given matches all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    pub(crate) service: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) zone: Option<String>,
    /// None is all but DOWN.
    pub(crate) states: Option<Vec<InstanceState>>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Selector {
    fn wants(&self, entry: &Entry) -> bool {
        let (said, state) = (&entry.record.registration, entry.record.condition.state);
        self.states.as_ref().map_or(state != InstanceState::Down, |states| states.contains(&state))
            && self.version.as_ref().is_none_or(|version| *version == said.version)
            && self.zone.as_ref().is_none_or(|zone| **zone == *said.zone)
            && self.metadata.iter().all(|(name, value)| said.metadata.get(name) == Some(value))
    }
}

impl Instances {
    /// Instances in the order of their keys, after `after`.
    pub(crate) fn list<'a>(
        &'a self,
        selector: &'a Selector,
        after: Option<&'a Key>,
    ) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let start = match (&selector.service, after) {
            (Some(service), _) => Bound::Included(service.as_str()),
            (None, Some(key)) => Bound::Included(&*key.service),
            (None, None) => Bound::Unbounded,
        };
        let end = selector.service.as_deref().map_or(Bound::Unbounded, Bound::Included);
        let services = self.services.range::<str, _>((start, end));
        let instances = services.flat_map(move |(name, service)| {
            let start = after
                .filter(|key| key.service == *name)
                .map_or(Bound::Unbounded, |key| Bound::Excluded(&*key.instance));
            service.instances.range::<str, _>((start, Bound::Unbounded)).map(|(_, entry)| entry)
        });
        instances.filter(|entry| selector.wants(entry))
    }

    /// An instance with what only the present knows: heartbeat, load, and what it misses.
    pub(crate) fn as_listed(&self, entry: &Entry) -> Instance {
        let required = &entry.record.registration.required_services;
        Instance {
            heartbeat_time: Some(mesh::timestamp(entry.heartbeat)),
            load: entry.load,
            missing_services: required.iter().filter(|name| !self.is_ready(name)).cloned().collect(),
            time_to_live: prost_types::Duration::try_from(entry.lease).ok(),
            ..entry.record.instance()
        }
    }

    /// One instance, whatever its state.
    pub(crate) fn get(&self, key: &Key) -> Option<Instance> {
        self.entry(key).map(|entry| self.as_listed(entry))
    }

    /// Required services of an instance that have no READY instance.
    pub(crate) fn missing(&self, key: &Key) -> impl Iterator<Item = &String> {
        let required = self.entry(key).into_iter().flat_map(|entry| &entry.record.registration.required_services);
        required.filter(|name| !self.is_ready(name))
    }

    fn is_ready(&self, service: &str) -> bool {
        let service = self.services.get(service);
        service.is_some_and(|service| {
            service.instances.values().any(|entry| entry.record.condition.state == InstanceState::Ready)
        })
    }

    /// Instances of these services that are not DOWN; no services are all.
    pub(crate) fn up(&self, services: &[Arc<str>]) -> Vec<Arc<Record>> {
        let records = |service: &super::Service| -> Vec<Arc<Record>> {
            service.instances.values().filter(|entry| entry.is_up()).map(|entry| entry.record.clone()).collect()
        };
        match services {
            [] => self.services.values().flat_map(records).collect(),
            names => names.iter().filter_map(|name| self.services.get(name)).flat_map(records).collect(),
        }
    }

    /// Whether the service was ever heard of.
    pub(crate) fn knows(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// Whether instances may still come back after a restart of the registry.
    pub(crate) fn is_warming(&self) -> bool {
        !self.clock.warm
    }

    /// How long ago leases were looked at.
    pub(crate) fn age(&self, now: Now) -> Duration {
        now.instant.saturating_duration_since(self.clock.started).saturating_sub(self.clock.looked)
    }

    /// Whether lapsed leases of any scope are held.
    pub(crate) fn is_protected(&self) -> bool {
        self.protection.active().next().is_some()
    }

    /// Scopes whose lapsed leases are held.
    pub(crate) fn protections(&self) -> Vec<Protected> {
        self.protection.active().collect()
    }

    /// Beats since this was last asked, by service.
    pub(crate) fn take_beats(&mut self) -> Vec<(Arc<str>, u64)> {
        let beats = self.services.iter_mut().map(|(name, service)| (name.clone(), std::mem::take(&mut service.beats)));
        beats.filter(|(_, beats)| *beats > 0).collect()
    }
}
