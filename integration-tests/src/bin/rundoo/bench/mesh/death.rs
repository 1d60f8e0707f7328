//! How long a killed instance stays listed.

use anyhow::Context as _;
use harness::system::{Role, System};
use proto::registry::watch_response::Event;
use proto::registry::{InstanceState, WatchRequest};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};

/// How often the product service is killed.
const KILLS: usize = 10;

/// From `kill -9` to DOWN at a watcher, the slowest of ten.
pub(crate) async fn measure(system: &mut System, report: &mut Report) -> anyhow::Result<()> {
    let mut slowest = 0.0_f64;
    for _ in 0..KILLS {
        let request = WatchRequest { services: vec!["productsvc".into()], ..Default::default() };
        let mut watch = system.registry().watch(tokio_stream::once(request)).await?.into_inner();
        // The stream is open once its first message is here.
        watch.message().await?.context("the watch ended")?;
        let began = Instant::now();
        system.kill(Role::Products(0)).await?;
        loop {
            let message = watch.message().await?.context("the watch ended")?;
            let Some(Event::Delta(delta)) = message.event else { continue };
            if delta.changed.iter().any(|instance| instance.state() == InstanceState::Down) {
                break;
            }
        }
        slowest = slowest.max(began.elapsed().as_secs_f64() * 1e3);
        system.launch(Role::Products(0)).await?;
        system.ready().await;
    }
    report.add("kill_to_down_worst_of_10", slowest, "ms", Goal::AtMost(100.0));
    Ok(())
}
