//! Measures that belong together: all groups of a benchmark, or one.

use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::bench::measure::Report;

/// Measures all groups, or only one. One that fails or takes longer than `patience` stops no other.
///
/// Answers whether every goal was met.
pub(crate) async fn run<G: ValueEnum>(
    only: Option<G>,
    patience: Duration,
    mut measure: impl AsyncFnMut(&G, &mut Report) -> anyhow::Result<()>,
) -> bool {
    let mut report = Report::new();
    let groups = only.as_ref().map_or(G::value_variants(), std::slice::from_ref);
    for group in groups {
        let measured = tokio::time::timeout(patience, measure(group, &mut report)).await;
        if let Err(error) = measured.context("it did not end").flatten() {
            let name = group.to_possible_value().map(|value| value.get_name().to_owned());
            report.broke(&name.unwrap_or_default(), &error);
        }
    }
    report.met()
}
