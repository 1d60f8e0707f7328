//! Pages that a browser has kept: asked about, and found right.

use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use harness::system::System;

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::portal::home::AT_ONCE;
use crate::bench::portal::visitors::Visitors;

pub(super) async fn measure(system: &System, report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let visitors = Visitors::of(system.portal());
    let home = visitors.get("/", &[]).await?;
    let tag = home.headers.get("etag").context("the portal follows the catalogue")?.to_str()?.to_owned();
    let visit = move || {
        let (visitors, tag) = (visitors.clone(), tag.clone());
        async move {
            let kept = visitors.get("/", &[("if-none-match", &tag)]).await?;
            anyhow::ensure!(kept.status == 304, "it answers {}", kept.status);
            Ok(())
        }
    };
    let traffic = Traffic::start(AT_ONCE, Duration::ZERO, visit);
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    report.add("kept_rate", outcome.rate(), "requests/s", Goal::AtLeast(10_000.0));
    report.add("kept_rate_p99", ms(outcome.quantile(0.99)), "ms", Goal::Stated);
    Ok(())
}
