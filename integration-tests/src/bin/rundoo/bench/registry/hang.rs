//! Processes that hang: how soon they are in doubt, and how soon DOWN.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use proto::registry::{InstanceState, SuspectReason};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};
use crate::bench::registry::herd::Herd;
use crate::bench::registry::node::Node;
use crate::bench::registry::watcher::Watcher;

/// How many hang at the same time, each the only instance of its service.
const HANGING: usize = 5;

/// Among so many that live a few may lapse; among fewer they would be held, as is promised.
const LIVING: usize = 100;

/// When one was seen in doubt, and when DOWN.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    suspect: Option<Instant>,
    down: Option<Instant>,
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let node = Node::start().await?;
    let _living = Herd::ready(node.address(), &format!("instances --service living --count {LIVING}")).await?;
    let (suspect, down) = hang(&node, "default", "").await?;
    report.add("hang_to_suspect", suspect.as_secs_f64() * 1e3, "ms", Goal::AtMost(2500.0));
    report.add("hang_to_down", down.as_secs_f64() * 1e3, "ms", Goal::AtMost(6500.0));
    let (_, down) = hang(&node, "short", "--lease-ms 1500").await?;
    report.add("hang_to_down_ttl_1500ms", down.as_secs_f64() * 1e3, "ms", Goal::AtMost(2000.0));
    Ok(())
}

/// Stops some processes right after a beat, when they will be believed longest. Answers the slowest.
async fn hang(node: &Node, name: &str, arguments: &str) -> anyhow::Result<(Duration, Duration)> {
    let services: Vec<String> = (0..HANGING).map(|n| format!("hanging-{name}-{n}")).collect();
    let watched: Vec<&str> = services.iter().map(String::as_str).collect();
    let mut watcher = Watcher::begin(node.client().await?, &watched).await?;
    let start = |service: &String| {
        Herd::start(node.address(), &format!("instances --service {service} --say-beats {arguments}"))
    };
    let mut herds = services.iter().map(start).collect::<anyhow::Result<Vec<_>>>()?;
    watcher.until_ready(HANGING).await?;
    let stops = try_join_all(herds.iter_mut().map(stop));
    let (stops, seen) = tokio::try_join!(stops, see(&mut watcher))?;
    let (mut suspect, mut down) = (Duration::ZERO, Duration::ZERO);
    for (service, stopped) in services.iter().zip(stops) {
        let seen = seen.get(service).copied().unwrap_or_default();
        let since = |at: Option<Instant>| at.map_or(Duration::MAX, |at| at - stopped);
        suspect = suspect.max(since(seen.suspect));
        down = down.max(since(seen.down));
    }
    Ok((suspect, down))
}

async fn stop(herd: &mut Herd) -> anyhow::Result<Instant> {
    herd.beat().await?;
    let stopped = Instant::now();
    herd.process().freeze().await?;
    Ok(stopped)
}

/// Watches until all are DOWN.
async fn see(watcher: &mut Watcher) -> anyhow::Result<BTreeMap<String, Seen>> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    while seen.values().filter(|seen| seen.down.is_some()).count() < HANGING {
        let told = watcher.next().await?;
        for instance in &told.changed {
            let seen = seen.entry(instance.service.clone()).or_default();
            if instance.suspect_reason() != SuspectReason::Unspecified {
                seen.suspect.get_or_insert_with(Instant::now);
            }
            if instance.state() == InstanceState::Down {
                seen.down.get_or_insert_with(Instant::now);
            }
        }
    }
    Ok(seen)
}
