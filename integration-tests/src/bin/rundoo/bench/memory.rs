//! The most memory that a process had, seen ten times a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bench::measure::{Goal, Report};

const MIB: f64 = 1024.0;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Resident memory in MiB: all of it, and what is no file's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Resident {
    pub(crate) all: f64,
    pub(crate) anonymous: f64,
}

/// Looks until it is dropped.
pub(crate) struct Watched {
    most: Arc<Mutex<Resident>>,
    _stop: DropGuard,
}

/// What a process has now.
pub(crate) fn of(pid: u32) -> anyhow::Result<Resident> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| -> anyhow::Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
        Ok(line.split_whitespace().next().context("a number")?.parse()?)
    };
    Ok(Resident { all: kib("VmRSS:")? / MIB, anonymous: kib("RssAnon:")? / MIB })
}

impl Watched {
    pub(crate) fn start(pid: u32) -> Self {
        let (most, stop) = (Arc::new(Mutex::new(Resident::default())), CancellationToken::new());
        let (seen, stopped) = (most.clone(), stop.clone());
        mesh::spawn("memory", async move {
            while !stopped.is_cancelled() {
                if let Ok(now) = of(pid) {
                    let mut most = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    *most = Resident { all: most.all.max(now.all), anonymous: most.anonymous.max(now.anonymous) };
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { most, _stop: stop.drop_guard() }
    }

    /// The most so far.
    pub(crate) fn most(&self) -> Resident {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resident {
    pub(crate) fn report(self, report: &mut Report, name: &str, goal: Goal) {
        report.add(name, self.all, "MiB", goal);
        report.add(&format!("{name}_anonymous"), self.anonymous, "MiB", Goal::Stated);
    }
}
