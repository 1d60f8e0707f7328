//! What everyone who was asked had counted at one moment.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proto::{
    mesh::Stats,
    registry::{Instance, InstanceState},
};

use crate::{backends::Backends, time::Moment};

/// How long a look may take; a page may wait for it.
const LIMIT: Duration = Duration::from_millis(1200);

/// Instances that are asked at most: each has a channel of its own, and a few kilobytes of counts.
const MAX_ASKED: usize = 256;

/// What everyone who was asked had counted at one moment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) taken: Instant,
    pub(crate) moment: Moment,
    /// By service and instance.
    pub(crate) counted: BTreeMap<(String, String), Stats>,
    /// Who did not answer, in order: service and instance.
    pub(crate) silent: Vec<(String, String)>,
    /// Whether there were more than are asked.
    pub(crate) cut: bool,
}

impl Look {
    /// Asks everyone who lives; nothing when the registry does not say who does.
    pub(crate) async fn take(backends: &Backends) -> Option<Look> {
        let mut live = backends.census().await.ok()?.instances;
        live.retain(|instance| instance.state() != InstanceState::Down);
        let cut = live.len() > MAX_ASKED;
        live.truncate(MAX_ASKED);
        let reports = backends.reports_within(live, LIMIT).await;
        let (mut counted, mut silent) = (BTreeMap::new(), Vec::new());
        for report in reports {
            let Instance { service, instance_id, .. } = report.instance;
            match report.stats {
                Some(stats) => drop(counted.insert((service, instance_id), stats)),
                None => silent.push((service, instance_id)),
            }
        }
        silent.sort();
        Some(Look { taken: Instant::now(), moment: Moment::now(), counted, silent, cut })
    }
}

#[cfg(test)]
impl Look {
    /// A look at these.
    pub(crate) fn test(taken: Instant, counted: Vec<Stats>) -> Look {
        let key = |stats: &Stats| (stats.service.clone(), stats.instance_id.clone());
        let counted = counted.into_iter().map(|stats| (key(&stats), stats)).collect();
        Look { taken, moment: Moment::now(), counted, silent: vec![], cut: false }
    }
}
