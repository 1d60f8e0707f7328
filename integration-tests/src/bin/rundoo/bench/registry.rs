//! The registry beside its goals, and beside etcd where that does the same work.
//!
//! Each group has a registry of its own. Load comes from `herd`, a process of its
//! own, wherever there are thousands of clients.

use std::time::Duration;

use crate::bench::measure::Report;
use crate::bench::{groups, process};

mod node;
mod herd;
mod watcher;
mod kill;
mod hang;
mod instances;
mod rate;
mod fan;
mod lapse;
mod resume;
mod drain;
mod etcd;

/// No group takes longer than this unless something that it waits for never happens.
const PATIENCE: Duration = Duration::from_secs(180);

/// Measures that belong together.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Group {
    /// Processes that are killed
    Kill,
    /// Processes that hang
    Hang,
    /// 5,000 instances, while the registry runs, stops and comes back
    Instances,
    /// Registrations a second
    Rate,
    /// One change on its way to thousands of watches
    Fan,
    /// 10,000 leases that end together
    Lapse,
    /// A watch that was cut
    Resume,
    /// Instances that leave under load
    Drain,
    /// The same in etcd
    Etcd,
}

/// Runs all groups, or one.
pub(crate) async fn run(each: Duration, only: Option<Group>) -> anyhow::Result<bool> {
    process::raise_file_limit()?;
    Ok(groups::run(only, PATIENCE + each * 3, async |group, report| measure(*group, report, each).await).await)
}

async fn measure(group: Group, report: &mut Report, each: Duration) -> anyhow::Result<()> {
    match group {
        Group::Kill => Box::pin(kill::measure(report)).await,
        Group::Hang => Box::pin(hang::measure(report)).await,
        Group::Instances => Box::pin(instances::measure(report)).await,
        Group::Rate => Box::pin(rate::measure(report, each)).await,
        Group::Fan => Box::pin(fan::measure(report)).await,
        Group::Lapse => Box::pin(lapse::measure(report)).await,
        Group::Resume => Box::pin(resume::measure(report)).await,
        Group::Drain => Box::pin(drain::measure(report)).await,
        Group::Etcd => Box::pin(etcd::measure(report, each)).await,
    }
}
