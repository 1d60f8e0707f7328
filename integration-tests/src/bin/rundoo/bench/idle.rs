//! What the four processes take while nobody asks.

use std::time::Duration;

use anyhow::Context as _;
use harness::system::{Role, System};

use crate::bench::measure::{Goal, Report};

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
        let memory = resident_mib(pid)?;
        total += memory;
        report.add(&format!("idle_memory_{}", role.service()), memory, "MiB", Goal::Stated);
    }
    report.add("idle_memory", total, "MiB", Goal::AtMost(100.0));
    report.add("idle_cpu", percent, "%", Goal::AtMost(2.0));
    Ok(())
}

fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may hold spaces; the numbers begin after its bracket.
    let (_, numbers) = stat.rsplit_once(')').context("the kernel's format")?;
    let number = |n: usize| numbers.split_whitespace().nth(n).and_then(|text| text.parse::<u64>().ok());
    Ok(number(11).context("user time")? + number(12).context("system time")?)
}

fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kib / 1024.0)
}
