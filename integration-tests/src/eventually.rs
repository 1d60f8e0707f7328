//! Waiting for something to become true, instead of sleeping and hoping.

use std::time::Duration;

use tokio::time::Instant;

/// Longer than anything takes on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries until it succeeds, and panics with the last failure when it never does.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> anyhow::Result<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < end, "never true: {what}: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
