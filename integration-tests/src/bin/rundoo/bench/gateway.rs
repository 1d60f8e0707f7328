//! The way in beside its goals: what protecting it costs.
//!
//! All processes run, and the load comes from this process, all on the same cores.

use std::time::Duration;

use harness::certificates::Protection;

use crate::bench::measure::Report;
use crate::bench::{groups, machine};

mod greedy;
mod json;
mod tls;

/// No group takes longer than this unless something that it waits for never happens.
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures that belong together.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Group {
    /// A page of products as JSON
    Json,
    /// Others beside thousands of connections that are idle, slow or greedy
    Greedy,
    /// Home with mutual TLS between all processes, and in plain text
    Tls,
}

/// Runs all groups, or one.
pub(crate) async fn run(each: Duration, only: Option<Group>) -> bool {
    println!("# {}", machine::described());
    groups::run(only, PATIENCE + each * 16, async |group: &Group, report: &mut Report| match group {
        Group::Json => Box::pin(json::measure(&tls::start(Protection::None).await?, report, each)).await,
        Group::Greedy => Box::pin(greedy::measure(&mut tls::start(Protection::None).await?, report, each)).await,
        Group::Tls => Box::pin(tls::measure(report, each)).await,
    })
    .await
}
