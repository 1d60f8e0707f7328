//! What a portal takes that nobody visits.

use std::time::Duration;

use anyhow::Context as _;
use harness::system::{Role, System};

use crate::bench::measure::{Goal, Report};
use crate::bench::memory;

/// How long it has been left alone.
const ALONE: Duration = Duration::from_secs(5);

/// Starts it anew and leaves it alone.
pub(super) async fn measure(system: &mut System, report: &mut Report) -> anyhow::Result<()> {
    system.stop(Role::Portal).await?;
    system.launch(Role::Portal).await?;
    system.ready().await;
    tokio::time::sleep(ALONE).await;
    let pid = system.process(Role::Portal)?.pid().context("it runs")?;
    memory::of(pid)?.report(report, "portal_idle_memory", Goal::AtMost(30.0));
    Ok(())
}
