//! 10,000 leases that end together: how long until a watcher has heard of the last one.

use std::collections::HashSet;

use proto::registry::InstanceState;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};
use crate::bench::registry::herd::Herd;
use crate::bench::registry::node::Node;
use crate::bench::registry::watcher::Watcher;

/// How many leases there are.
pub(crate) const LEASES: usize = 10_000;

/// All events must be out after this, in milliseconds.
const GOAL_MS: f64 = 1000.0;

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let lost = lose().await?;
    report.add("streams_10000_lost", lost, "ms", Goal::AtMost(GOAL_MS));
    let lapsed = lapse().await?;
    report.add("leases_10000_lapsed", lapsed, "ms", Goal::AtMost(GOAL_MS));
    Ok(())
}

/// The process that holds all streams is killed: from then to the last DOWN.
async fn lose() -> anyhow::Result<f64> {
    let node = Node::start().await?;
    let mut watcher = Watcher::begin(node.client().await?, &["ending"]).await?;
    let arguments = format!("leases --service ending --count {LEASES} --lease-ms 6000");
    let herd = Herd::ready(node.address(), &arguments).await?;
    watcher.until_ready(LEASES).await?;
    let began = Instant::now();
    herd.process().signal(Signal::KILL)?;
    let (_, last) = ends(&mut watcher).await?;
    Ok((last - began).as_secs_f64() * 1e3)
}

/// All beat in the same moment, and then never again: from the first DOWN to the last.
async fn lapse() -> anyhow::Result<f64> {
    let node = Node::start().await?;
    let mut watcher = Watcher::begin(node.client().await?, &["ending"]).await?;
    let arguments = format!("leases --service ending --count {LEASES} --lease-ms 5000 --once");
    let _herd = Herd::ready(node.address(), &arguments).await?;
    watcher.until_ready(LEASES).await?;
    let (first, last) = ends(&mut watcher).await?;
    Ok((last - first).as_secs_f64() * 1e3)
}

/// When the first and the last lease were told to be DOWN.
async fn ends(watcher: &mut Watcher) -> anyhow::Result<(Instant, Instant)> {
    let (mut down, mut first) = (HashSet::new(), None);
    loop {
        let told = watcher.next().await?;
        let now = Instant::now();
        let ended = told.changed.into_iter().filter(|instance| instance.state() == InstanceState::Down);
        down.extend(ended.map(|instance| instance.instance_id));
        first = first.or((!down.is_empty()).then_some(now));
        if let (LEASES, Some(first)) = (down.len(), first) {
            return Ok((first, now));
        }
    }
}
