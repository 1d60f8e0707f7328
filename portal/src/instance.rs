//! An instance, as a row of a list shows it.

use proto::registry::{Instance, InstanceState};

use crate::{
    condition::{self, Condition},
    query::{instance_link, service_link},
    time::Moment,
};

/// One instance.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) service: String,
    /// Where its service's page is.
    pub(crate) service_page: String,
    pub(crate) instance: String,
    /// Where its own page is.
    pub(crate) page: String,
    pub(crate) address: String,
    pub(crate) zone: String,
    pub(crate) version: String,
    pub(crate) condition: Condition,
    pub(crate) since: Option<Moment>,
    pub(crate) since_age: String,
    pub(crate) heartbeat_age: String,
    pub(crate) load: String,
    pub(crate) links: Vec<(String, String)>,
    /// Why it is DOWN.
    pub(crate) reason: String,
}

impl Row {
    pub(crate) fn new(instance: Instance, now: Moment) -> Row {
        let since = Moment::read(instance.state_time);
        let age = |moment: Option<Moment>| moment.map_or_else(|| "unknown".into(), |moment| moment.age(now));
        Row {
            service_page: service_link(&instance.service),
            page: instance_link(&instance.service, &instance.instance_id),
            condition: Condition::of(&instance),
            reason: condition::reason(&instance),
            since,
            since_age: age(since),
            heartbeat_age: age(Moment::read(instance.heartbeat_time)),
            load: condition::load(instance.load.as_ref()),
            links: condition::web_links(&instance),
            service: instance.service,
            instance: instance.instance_id,
            address: instance.address,
            zone: instance.zone,
            version: instance.version,
        }
    }
}

/// Whether an instance is gone, and kept as history only.
pub(crate) fn is_down(instance: &Instance) -> bool {
    instance.state() == InstanceState::Down
}

/// The live in their order, and those that are DOWN, the latest first.
pub(crate) fn rows(instances: Vec<Instance>, now: Moment) -> (Vec<Row>, Vec<Row>) {
    let (down, live): (Vec<_>, Vec<_>) = instances.into_iter().partition(is_down);
    let row = |instance| Row::new(instance, now);
    let mut down: Vec<Row> = down.into_iter().map(row).collect();
    down.sort_by_key(|row| std::cmp::Reverse(row.since));
    (live.into_iter().map(row).collect(), down)
}
