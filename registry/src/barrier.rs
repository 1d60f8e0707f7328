//! The drain barrier: waits until everybody who acknowledges knows that an instance drains.

use std::sync::Arc;
use std::time::Duration;

use proto::registry::Watcher;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::shared::Shared;
use crate::watchers::Watching;

/// Acknowledgements come in bursts; they are counted this often at most.
const BURST: Duration = Duration::from_millis(1);

/// Laggards that are named; more are only known to be there.
const MOST_NAMED: usize = 10;

/// Waits until every live watcher of `service` that acknowledges has applied `revision`, or
/// for `most`; answers those that have not.
pub(crate) async fn wait(
    shared: &Shared,
    service: &str,
    revision: u64,
    most: Duration,
    stopping: &CancellationToken,
) -> Result<Vec<Watcher>, Error> {
    let end = Instant::now() + most;
    loop {
        let progress = shared.watchers().progress();
        tokio::pin!(progress);
        // Before looking, so that an acknowledgement in between is not missed.
        progress.as_mut().enable();
        // A registry that stops sends its watchers away: that nobody lags is no answer then.
        if stopping.is_cancelled() {
            return Err(Error::Stopping);
        }
        let laggards = shared.watchers().laggards(service, revision);
        if laggards.is_empty() || Instant::now() >= end {
            return Ok(named(&laggards));
        }
        tokio::select! {
            () = progress => tokio::time::sleep(BURST).await,
            () = tokio::time::sleep_until(end) => {}
            () = stopping.cancelled() => return Err(Error::Stopping),
        }
    }
}

fn named(laggards: &[Arc<Watching>]) -> Vec<Watcher> {
    laggards.iter().take(MOST_NAMED).map(|watching| watching.describe()).collect()
}
