//! What a product service takes that nobody asks.

use std::time::Duration;

use anyhow::Context as _;
use harness::system::{Role, System};

use crate::bench::measure::{Goal, Report};
use crate::bench::memory;
use crate::bench::products::Catalogue;

/// How long it has been left alone.
const ALONE: Duration = Duration::from_secs(5);

/// The most that it may take.
const MOST_MEMORY: f64 = 60.0;

/// Starts it anew and leaves it alone.
pub(super) async fn measure(system: &mut System, report: &mut Report, catalogue: Catalogue) -> anyhow::Result<()> {
    system.stop(Role::Products(0)).await?;
    system.launch(Role::Products(0)).await?;
    system.ready().await;
    tokio::time::sleep(ALONE).await;
    let pid = system.process(Role::Products(0))?.pid().context("it runs")?;
    let name = catalogue.database.named("idle_memory");
    memory::of(pid)?.report(report, &name, Goal::AtMost(MOST_MEMORY));
    Ok(())
}
