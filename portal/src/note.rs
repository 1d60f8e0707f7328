//! What the registry says about its own knowledge: leases that it holds, and how far it can be relied on.

use std::time::Duration;

use proto::registry::{Protection, protection::Scope};

use crate::{
    backends::registry::Census,
    time::{Moment, span},
};

/// Knowledge older than this is said to be old; the registry looks at its leases much more often.
const CURRENT: Duration = Duration::from_secs(1);

/// Leases of a scope that are held.
#[derive(Debug)]
pub(crate) struct Protected {
    pub(crate) scope: String,
    pub(crate) since: Option<Moment>,
    pub(crate) since_age: String,
    pub(crate) suspects: u32,
    pub(crate) instances: u32,
}

/// What should be known of a census before it is believed.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) warming: bool,
    pub(crate) cut: bool,
    pub(crate) protected: Vec<Protected>,
    /// How old the knowledge is, when that is worth a word.
    pub(crate) age: Option<String>,
}

impl Notes {
    pub(crate) fn on(census: &Census, now: Moment) -> Notes {
        let protected = census.protections.iter().map(|protection| Protected::new(protection, now));
        Notes {
            warming: census.warming,
            cut: census.cut,
            protected: protected.collect(),
            age: (census.age > CURRENT).then(|| span(census.age)),
        }
    }
}

impl Protected {
    fn new(protection: &Protection, now: Moment) -> Protected {
        let since = Moment::read(protection.begin_time);
        Protected {
            scope: match &protection.scope {
                Some(Scope::Service(name)) => format!("The leases of {name}"),
                Some(Scope::Zone(name)) => format!("The leases of zone {name}"),
                Some(Scope::Whole(_)) => "All leases".into(),
                None => "Some leases".into(),
            },
            since,
            since_age: since.map(|since| since.age(now)).unwrap_or_default(),
            suspects: protection.suspects,
            instances: protection.instances,
        }
    }
}
