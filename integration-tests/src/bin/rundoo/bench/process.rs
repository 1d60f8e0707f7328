//! What the kernel knows of a process.

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Processor time in hundredths of a second, in which the kernel counts.
pub(crate) fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may hold spaces; the numbers begin after its bracket.
    let (_, numbers) = stat.rsplit_once(')').context("the kernel's format")?;
    let number = |n: usize| numbers.split_whitespace().nth(n).and_then(|text| text.parse::<u64>().ok());
    Ok(number(11).context("user time")? + number(12).context("system time")?)
}

/// Memory that it really has, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kib * 1024.0)
}

/// Lets this process and all that it starts open as many files as the machine allows.
pub(crate) fn raise_file_limit() -> anyhow::Result<()> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).context("could not raise the limit of files")
}
