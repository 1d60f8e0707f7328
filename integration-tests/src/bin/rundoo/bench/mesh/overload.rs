//! Three times as many calls as a server can answer.
//!
//! The server has one core and everything else the other, so that the server is what
//! falls short. Nothing is repeated: the channel knows no descriptors.

use std::time::Duration;

use harness::load::{Arrivals, Outcome, Traffic};
use harness::specimen::SERVICE;

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::mesh::affinity::Pinned;
use crate::bench::mesh::calls;
use crate::bench::mesh::lab::{Client, Lab, Setting};

/// The cores of the load and of the server.
const OURS: usize = 0;
const THEIRS: usize = 1;

/// What each call costs the server, which says that calls should take milliseconds.
const SETTINGS: [Setting; 2] = [("SPECIMEN_WORK_US", "2000"), ("SPECIMEN_STRICT", "true")];

/// Callers that find the capacity: always one at work and some waiting.
const CALLERS: usize = 4;

pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let pinned = Pinned::to(OURS)?;
    let lab = Lab::start().await?;
    let specimen = lab.specimen_on(THEIRS, &SETTINGS).await?;
    let client = Client::new(mesh::Channel::to_addresses(SERVICE, &[specimen.address()], &[]));
    let unloaded = closed(1, &client, each).await?;
    let peak = closed(CALLERS, &client, each).await?;
    let arrivals = Arrivals::start(peak.rate() * 3.0, move || calls::read(client.clone()));
    tokio::time::sleep(each).await;
    let overload = arrivals.end().await;
    let limit = specimen.limit().await?;
    drop(pinned);

    let (alone, accepted) = (unloaded.quantile(0.99), overload.quantile(0.99));
    let failed = overload.failed - overload.refused;
    report.add("overload_peak", peak.rate(), "requests/s", Goal::Stated);
    report.add("overload_unloaded_p99", ms(alone), "ms", Goal::Stated);
    report.add("overload_goodput", overload.rate(), "requests/s", Goal::Stated);
    report.add("overload_goodput_of_peak", overload.rate() / peak.rate() * 100.0, "%", Goal::AtLeast(90.0));
    report.add("overload_accepted_p50", ms(overload.quantile(0.5)), "ms", Goal::Stated);
    report.add("overload_accepted_p99", ms(accepted), "ms", Goal::Stated);
    report.add("overload_accepted_p99_of_unloaded", ms(accepted) / ms(alone), "times", Goal::AtMost(5.0));
    let refused = overload.refused as f64 / overload.elapsed.as_secs_f64();
    report.add("overload_refused", refused, "requests/s", Goal::Stated);
    report.add("overload_limit", f64::from(limit), "calls", Goal::Stated);
    report.add("overload_failed", failed as f64, "requests", Goal::Stated);
    if failed > 0 {
        println!("overload: requests failed: {:?}", overload.failures);
    }
    Ok(())
}

async fn closed(callers: usize, client: &Client, each: Duration) -> anyhow::Result<Outcome> {
    let client = client.clone();
    let traffic = Traffic::start(callers, Duration::ZERO, move || calls::read(client.clone()));
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "calls failed: {:?}", outcome.failures);
    Ok(outcome)
}
