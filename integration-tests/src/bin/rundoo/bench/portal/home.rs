//! Home under load: as fast as it goes, and at a fixed rate.

use std::time::Duration;

use harness::load::{Arrivals, Traffic};
use harness::system::System;

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::portal::visitors::Visitors;

/// Browsers that ask at the same time.
pub(crate) const AT_ONCE: usize = 32;

/// Requests a second of the fixed rate.
const FIXED: f64 = 1000.0;

pub(crate) async fn measure(system: &System, report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let visitors = Visitors::of(system.portal());
    let visit = move || {
        let visitors = visitors.clone();
        async move { home(&visitors).await }
    };
    visit().await?;
    let traffic = Traffic::start(AT_ONCE, Duration::ZERO, visit.clone());
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    report.add("home_rate", outcome.rate(), "requests/s", Goal::AtLeast(3000.0));
    report.add("home_rate_p99", ms(outcome.quantile(0.99)), "ms", Goal::Stated);

    let arrivals = Arrivals::start(FIXED, visit);
    tokio::time::sleep(each).await;
    let outcome = arrivals.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    report.add("home_at_1000_p50", ms(outcome.quantile(0.5)), "ms", Goal::Stated);
    report.add("home_at_1000_p99", ms(outcome.quantile(0.99)), "ms", Goal::AtMost(15.0));
    Ok(())
}

/// Gets Home whole.
pub(crate) async fn home(visitors: &Visitors) -> anyhow::Result<()> {
    let home = visitors.get("/", &[]).await?;
    anyhow::ensure!(home.status.is_success(), "it answers {}", home.status);
    anyhow::ensure!(home.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip"), "no gzip");
    anyhow::ensure!(home.body.len() > 2000, "a page of {} bytes", home.body.len());
    Ok(())
}
