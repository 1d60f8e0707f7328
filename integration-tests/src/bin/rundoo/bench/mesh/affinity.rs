//! On which cores this process runs, and what it starts.

use std::process::{Command, Stdio};

use anyhow::Context as _;

/// This process on one core only, until this is dropped.
pub(crate) struct Pinned {
    /// The cores before, as the kernel writes them.
    before: String,
}

impl Pinned {
    pub(crate) fn to(core: usize) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let before = line.context("Cpus_allowed_list")?.trim().to_owned();
        run_on(&core.to_string())?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Err(error) = run_on(&self.before) {
            println!("this process stays on one core: {error:#}");
        }
    }
}

/// Every thread there is; those that they start do the same.
fn run_on(cores: &str) -> anyhow::Result<()> {
    let own = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["--all-tasks", "--cpu-list", "--pid", cores, &own]).stdout(Stdio::null());
    let status = command.status().context("could not run taskset, which is part of util-linux")?;
    anyhow::ensure!(status.success(), "taskset ended with {status}");
    Ok(())
}
