//! Everybody logs at TRACE and nobody does anything: shipping must not feed on its own events.

use std::time::Duration;

use anyhow::Context as _;
use harness::binaries;
use harness::logs::Lab;

use crate::bench::measure::{Goal, Report};

/// Until everybody has found everybody.
const START: Duration = Duration::from_secs(3);

/// Parts of programs that carry calls.
const CARRIERS: [&str; 6] = ["h2", "hyper", "hyper_util", "tonic", "tower", "mesh"];

/// The one method that shipping calls.
const SHIPPING: [&str; 2] = ["rundoo.logs.v1.LogService", "LogService/Ship"];

pub(super) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let lab = Lab::start(&binaries::folder()?, &[("RUNDOO_LOG", "trace")]).await?;
    let _speaker = lab.speaker(&[]).await?;
    tokio::time::sleep(START).await;
    let mut rates = Vec::new();
    let mut seen = lab.said("").await?.len();
    for _ in 0..2 {
        tokio::time::sleep(each / 2).await;
        let now = lab.said("").await?.len();
        rates.push((now - seen) as f64 / (each / 2).as_secs_f64());
        seen = now;
    }
    let rows = lab.said("").await?;
    let records = || rows.iter().filter_map(|row| row.record.as_ref());
    let carried =
        records().filter(|record| CARRIERS.iter().any(|carrier| record.target.split("::").next() == Some(carrier)));
    let shipping = records().filter(|record| {
        let texts = || std::iter::once(&record.message).chain(record.fields.iter().map(|field| &field.value));
        SHIPPING.iter().any(|name| texts().any(|text| text.contains(name)))
    });
    report.add("quiet_records", rows.len() as f64, "records", Goal::Stated);
    report.add("quiet_of_carriers", carried.count() as f64, "records", Goal::Stated);
    report.add("quiet_of_shipping", shipping.count() as f64, "records", Goal::AtMost(0.0));
    let (first, second) = (rates.first().context("a rate")?, rates.last().context("a rate")?);
    report.add("quiet_rate_first_half", *first, "records/s", Goal::Stated);
    report.add("quiet_rate_second_half", *second, "records/s", Goal::AtMost(first * 1.5 + 10.0));
    Ok(())
}
