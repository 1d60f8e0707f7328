//! A destination that fails every call: how much more it gets because calls are repeated.

use std::time::Duration;

use harness::load::Arrivals;

use crate::bench::measure::{Goal, Report};
use crate::bench::mesh::calls;
use crate::bench::mesh::lab::{Lab, Setting};

/// Every call is answered UNAVAILABLE.
const FAILING: Setting = ("SPECIMEN_CODE", "14");

const CALLS_PER_S: f64 = 1000.0;

pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let lab = Lab::start().await?;
    let specimen = lab.specimen(&[FAILING]).await?;
    lab.until_ready(1).await;
    let client = lab.client();
    let arrivals = Arrivals::start(CALLS_PER_S, move || calls::read(client.clone()));
    tokio::time::sleep(each).await;
    let outcome = arrivals.end().await;
    let made = (outcome.answered + outcome.failed) as f64;
    let begun = specimen.report().await?.begun as f64;
    report.add("storm_calls", made, "calls", Goal::Stated);
    report.add("storm_answered", outcome.answered as f64, "calls", Goal::Stated);
    report.add("storm_load", begun / made, "times", Goal::AtMost(1.2));
    Ok(())
}
