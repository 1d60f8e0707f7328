//! Processes that are killed: how soon a watcher sees them DOWN.

use std::time::Duration;

use proto::registry::InstanceState;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report, quantile_ms};
use crate::bench::registry::herd::Herd;
use crate::bench::registry::node::Node;
use crate::bench::registry::watcher::Watcher;

/// How many processes are killed, one after another.
const KILLS: usize = 100;

/// Between two kills, so that none waits for the one before it.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut watcher = Watcher::begin(node.client().await?, &["killed"]).await?;
    let start = |n| Herd::start(node.address(), &format!("instances --service killed --prefix victim{n}"));
    let mut herds = (0..KILLS).map(start).collect::<anyhow::Result<Vec<_>>>()?;
    for herd in &mut herds {
        herd.says("ready").await?;
    }
    watcher.until_ready(KILLS).await?;
    let mut times = Vec::new();
    for (n, herd) in herds.into_iter().enumerate() {
        tokio::time::sleep(PAUSE).await;
        let victim = format!("victim{n}-00000");
        let began = Instant::now();
        herd.process().signal(Signal::KILL)?;
        loop {
            let told = watcher.next().await?;
            let is_it = |state: InstanceState, id: &str| state == InstanceState::Down && id == victim;
            if told.changed.iter().any(|instance| is_it(instance.state(), &instance.instance_id)) {
                break;
            }
        }
        times.push(began.elapsed());
    }
    report.add("kill_to_down_p50", quantile_ms(&mut times, 0.5), "ms", Goal::Stated);
    report.add("kill_to_down_p99", quantile_ms(&mut times, 0.99), "ms", Goal::AtMost(50.0));
    Ok(())
}
