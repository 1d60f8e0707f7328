//! What the four processes take while nobody asks.

use std::time::Duration;

use anyhow::Context as _;
use harness::system::{Role, System};

use crate::bench::measure::{Goal, Report};
use crate::bench::process::{cpu_ticks, resident_bytes};

/// Memory in all, and processor time over ten seconds.
pub(crate) async fn measure(system: &mut System, report: &mut Report) -> anyhow::Result<()> {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut pids = Vec::new();
    for role in [Role::Logs, Role::Registry, Role::Products(0), Role::Portal] {
        pids.push((role, system.process(role)?.pid().context("it runs")?));
    }
    let cpu = |pids: &[(Role, u32)]| pids.iter().map(|(_, pid)| cpu_ticks(*pid)).sum::<anyhow::Result<u64>>();
    let began = cpu(&pids)?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    // The kernel counts in hundredths of a second.
    let percent = (cpu(&pids)? - began) as f64 / 100.0 / 10.0 * 100.0;
    let mut total = 0.0;
    for (role, pid) in pids {
        let memory = resident_bytes(pid)? / 1024.0 / 1024.0;
        total += memory;
        report.add(&format!("idle_memory_{}", role.service()), memory, "MiB", Goal::Stated);
    }
    report.add("idle_memory", total, "MiB", Goal::AtMost(100.0));
    report.add("idle_cpu", percent, "%", Goal::AtMost(2.0));
    Ok(())
}
