//! Waiting for something to become true, instead of sleeping and hoping.

use std::time::Duration;

use tokio::time::Instant;

/// Longer than anything takes on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// What begins with cargo may compile first, or wait for another cargo that does.
pub const COMPILING: Duration = Duration::from_secs(10 * 60);

/// Tries until it succeeds, and panics with the last failure when it never does.
pub async fn eventually<T>(what: &str, attempt: impl AsyncFnMut() -> anyhow::Result<T>) -> T {
    eventually_within(PATIENCE, what, attempt).await
}

/// As [`eventually`], for what may take longer.
pub async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < end, "never true: {what}: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
