//! One of two instances refuses connections: how many calls notice.

use std::time::Duration;

use harness::load::Arrivals;
use harness::specimen::SERVICE;
use harness::system::{free_port, loopback};

use crate::bench::measure::{Goal, Report};
use crate::bench::mesh::calls;
use crate::bench::mesh::lab::{Client, Lab};

const CALLS_PER_S: f64 = 1000.0;

/// Fewer calls would not show one in a thousand.
const SHORTEST: Duration = Duration::from_secs(4);

/// From the first call on; without descriptors, so that nothing is repeated that may have been received.
pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let lab = Lab::start().await?;
    let specimen = lab.specimen(&[]).await?;
    let nobody = loopback(free_port()?);
    let client = Client::new(mesh::Channel::to_addresses(SERVICE, &[nobody, specimen.address()], &[]));
    let arrivals = Arrivals::start(CALLS_PER_S, move || calls::read(client.clone()));
    tokio::time::sleep(each.max(SHORTEST)).await;
    let outcome = arrivals.end().await;
    if outcome.failed > 0 {
        println!("calls failed: {:?}", outcome.failures);
    }
    let made = (outcome.answered + outcome.failed) as f64;
    report.add("refusing_calls", made, "calls", Goal::AtLeast(2000.0));
    report.add("refusing_failed", outcome.failed as f64 / made * 100.0, "%", Goal::AtMost(0.1));
    Ok(())
}
