//! An instance as everybody is told of it. It never changes: a change makes a new one.

use std::sync::Arc;
use std::time::Duration;

use proto::registry::{DownReason, Instance, InstanceState, Probe, SuspectReason};

use crate::registration::{Key, Registration};

/// An instance at one revision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) key: Key,
    pub(crate) incarnation: u64,
    pub(crate) registration: Arc<Registration>,
    pub(crate) condition: Condition,
    pub(crate) lease: Duration,
    /// When this incarnation registered.
    pub(crate) registered: jiff::Timestamp,
    /// Since when it is in its state.
    pub(crate) since: jiff::Timestamp,
}

/// How an instance is doing, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) state: InstanceState,
    pub(crate) down: DownReason,
    pub(crate) suspect: SuspectReason,
    /// Its lease has lapsed, and too many others' with it.
    pub(crate) held: bool,
    /// An operator drained it.
    pub(crate) drained: bool,
}

impl Condition {
    pub(crate) fn down(reason: DownReason) -> Self {
        let suspect = SuspectReason::Unspecified;
        Self { state: InstanceState::Down, down: reason, suspect, held: false, drained: false }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state != InstanceState::Down
    }

    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect != SuspectReason::Unspecified
    }
}

impl Record {
    /// The whole of it, as messages carry it.
    pub(crate) fn instance(&self) -> Instance {
        let said = &self.registration;
        let probe = said.probe.as_ref().map(|probing| Probe {
            service: probing.service.clone(),
            period: prost_types::Duration::try_from(probing.period).ok(),
        });
        Instance {
            metadata: said.metadata.clone().into_iter().collect(),
            links: said.links.clone().into_iter().collect(),
            probe,
            ..self.brief()
        }
    }

    /// Without facts and links: for the history, where many stand together.
    pub(crate) fn brief(&self) -> Instance {
        let (said, condition) = (&self.registration, &self.condition);
        Instance {
            service: self.key.service.to_string(),
            instance_id: self.key.instance.to_string(),
            incarnation: self.incarnation,
            address: said.address.to_string(),
            version: said.version.clone(),
            state: condition.state.into(),
            down_reason: condition.down.into(),
            suspect_reason: condition.suspect.into(),
            held: condition.held,
            drained: condition.drained,
            register_time: Some(mesh::timestamp(self.registered)),
            state_time: Some(mesh::timestamp(self.since)),
            zone: said.zone.to_string(),
            weight: said.weight,
            required_services: said.required_services.clone(),
            time_to_live: prost_types::Duration::try_from(self.lease).ok(),
            ..Default::default()
        }
    }
}
