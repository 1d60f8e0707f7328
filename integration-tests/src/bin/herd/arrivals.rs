//! When a change arrived at each of many watches, by the one clock of this process.

use std::time::Duration;

use anyhow::Context as _;
use harness::load::Outcome;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use crate::say;

/// A change that has not arrived after this never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it is quiet before each change, so that none waits for the one before it.
const QUIET: Duration = Duration::from_millis(300);

/// What one watch says: the revision that it was told, and when.
pub(crate) type Arrival = (u64, Instant);

/// What all watches say.
pub(crate) struct Arrivals {
    /// Given a permit by each watch that stands.
    pub(crate) standing: Semaphore,
    sent: mpsc::UnboundedSender<Arrival>,
}

/// Makes changes and waits until each has arrived everywhere.
pub(crate) struct Clock {
    arrived: mpsc::UnboundedReceiver<Arrival>,
    watches: usize,
}

/// For so many watches.
pub(crate) fn arrivals(watches: usize) -> (Arrivals, Clock) {
    // Each watch has one arrival per change in it at most.
    let (sent, arrived) = mpsc::unbounded_channel();
    (Arrivals { standing: Semaphore::new(0), sent }, Clock { arrived, watches })
}

impl Arrivals {
    /// A watch was told this revision, now.
    pub(crate) fn came(&self, revision: u64) {
        // Nobody listens any more once it was measured.
        let _measured = self.sent.send((revision, Instant::now()));
    }

    /// Waits until so many watches stand.
    pub(crate) async fn stand(&self, watches: usize) -> anyhow::Result<()> {
        let standing = timeout(PATIENCE, self.standing.acquire_many(u32::try_from(watches)?)).await;
        standing.context("some watches never stood")??.forget();
        Ok(())
    }
}

impl Clock {
    /// Makes changes, each of which answers its revision, and says how long they took to arrive.
    pub(crate) async fn measure(
        mut self,
        changes: usize,
        mut change: impl AsyncFnMut() -> anyhow::Result<u64>,
    ) -> anyhow::Result<()> {
        let mut all = Outcome::default();
        for _ in 0..changes {
            tokio::time::sleep(QUIET).await;
            // Before the request is sent: what the registry needs to take it counts too.
            let began = Instant::now();
            let revision = change().await?;
            let mut missing = self.watches;
            while missing > 0 {
                let arrival = timeout(PATIENCE, self.arrived.recv()).await;
                let (told, at) =
                    arrival.with_context(|| format!("{missing} watches were not told"))?.context("ended")?;
                if told >= revision {
                    missing -= 1;
                    all.latencies.push(at - began);
                }
            }
        }
        all.latencies.sort_unstable();
        for (name, share) in [("p50_ms", 0.5), ("p99_ms", 0.99), ("worst_ms", 1.0)] {
            say(name, all.quantile(share).as_secs_f64() * 1e3);
        }
        Ok(())
    }
}
