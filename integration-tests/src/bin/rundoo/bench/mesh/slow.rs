//! One of three instances is twenty times slower than it was.

use std::time::Duration;

use harness::load::{Arrivals, Outcome};

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::mesh::calls;
use crate::bench::mesh::lab::{Client, Lab, Setting};

/// What an answer takes.
const USUAL: Setting = ("SPECIMEN_WAIT_US", "2000");
const SLOW: Setting = ("SPECIMEN_WAIT_US", "40000");

/// At a fixed rate, so that a slow answer does not keep others from being asked for.
const CALLS_PER_S: f64 = 1000.0;

/// Callers need a moment to learn who is slow.
const WARM_UP: Duration = Duration::from_secs(2);

pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let lab = Lab::start().await?;
    let victim = lab.specimen(&[USUAL]).await?;
    let _others = [lab.specimen(&[USUAL]).await?, lab.specimen(&[USUAL]).await?];
    let client = lab.client_of(3).await;
    let healthy = load(&client, each).await?;
    victim.stop().await?;
    let slow = lab.specimen(&[SLOW]).await?;
    lab.until_ready(3).await;
    let begun_before = slow.report().await?.begun;
    let ill = load(&client, each).await?;
    let begun = slow.report().await?.begun - begun_before;
    let (usual, now) = (healthy.quantile(0.99), ill.quantile(0.99));
    report.add("slow_p50_all_healthy", ms(healthy.quantile(0.5)), "ms", Goal::Stated);
    report.add("slow_p99_all_healthy", ms(usual), "ms", Goal::Stated);
    report.add("slow_p50", ms(ill.quantile(0.5)), "ms", Goal::Stated);
    report.add("slow_p99", ms(now), "ms", Goal::Stated);
    report.add("slow_p99_of_healthy", ms(now) / ms(usual), "times", Goal::AtMost(1.5));
    report.add("slow_calls_to_it", begun as f64, "calls", Goal::Stated);
    Ok(())
}

async fn load(client: &Client, each: Duration) -> anyhow::Result<Outcome> {
    drop(run(client, WARM_UP).await?);
    run(client, each).await
}

async fn run(client: &Client, time: Duration) -> anyhow::Result<Outcome> {
    let client = client.clone();
    let arrivals = Arrivals::start(CALLS_PER_S, move || calls::read(client.clone()));
    tokio::time::sleep(time).await;
    let outcome = arrivals.end().await;
    anyhow::ensure!(outcome.failed == 0, "calls failed: {:?}", outcome.failures);
    Ok(outcome)
}
