//! Calls through the mesh: what they cost, and what becomes of them on bad days.
//!
//! Each group starts what it calls. Nearly all call a `specimen`, a service that does
//! what it is told; `catalogue` measures the four real processes.

use std::time::Duration;

use crate::bench::groups;
use crate::bench::measure::Report;

mod lab;
mod calls;
mod mixture;
mod stack;
mod refusing;
mod empty;
mod slow;
mod kill;
mod rolling;
mod affinity;
mod overload;
mod storm;
mod catalogue;
mod idle;
mod ship;
mod store;
mod death;

/// No group takes longer than this unless something that it waits for never happens.
const PATIENCE: Duration = Duration::from_secs(240);

/// Measures that belong together.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Group {
    /// The whole stack beside a bare echo
    Stack,
    /// One of two instances refuses connections
    Refusing,
    /// There is no instance
    Empty,
    /// One of three instances is slow
    Slow,
    /// One of three instances is killed under load
    Kill,
    /// All three are restarted under load
    Rolling,
    /// More calls than a server can answer
    Overload,
    /// A destination that fails every call
    Storm,
    /// The four processes of the catalogue
    Catalogue,
}

/// Runs all groups, or one.
pub(crate) async fn run(each: Duration, only: Option<Group>) -> bool {
    groups::run(only, PATIENCE + each * 6, async |group, report| measure(*group, report, each).await).await
}

async fn measure(group: Group, report: &mut Report, each: Duration) -> anyhow::Result<()> {
    match group {
        Group::Stack => Box::pin(stack::measure(report, each)).await,
        Group::Refusing => Box::pin(refusing::measure(report, each)).await,
        Group::Empty => Box::pin(empty::measure(report)).await,
        Group::Slow => Box::pin(slow::measure(report, each)).await,
        Group::Kill => Box::pin(kill::measure(report)).await,
        Group::Rolling => Box::pin(rolling::measure(report)).await,
        Group::Overload => Box::pin(overload::measure(report, each)).await,
        Group::Storm => Box::pin(storm::measure(report, each)).await,
        Group::Catalogue => Box::pin(catalogue::measure(report, each)).await,
    }
}
