//! What is forgotten with time: answers of writes, changes, and products that were deleted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::Error;
use crate::ledger::KEPT_DELETED;
use crate::store::ProductStore;

/// The contract keeps the answers of writes for 7 days.
const REQUESTS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The contract keeps imports that nobody goes on with for as long as their request ids.
const IMPORTS_KEPT: SignedDuration = REQUESTS_KEPT;

/// The contract keeps changes for 30 days.
pub const CHANGES_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Nobody notices what is kept an hour too long.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// A purge is in no hurry, but must not wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Forgets what is old, now and then, until the process stops.
pub async fn purge(products: ProductStore, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(Err(error)) = stopping.run_until_cancelled(once(&products, Timestamp::now())).await {
            warn!("could not forget what is old: {error}");
        }
    }
}

/// Forgets what is old at a moment.
pub async fn once(products: &ProductStore, now: Timestamp) -> Result<(), Error> {
    let late = || Instant::now() + PATIENCE;
    let expired = products.expire_imports(now - IMPORTS_KEPT, late()).await?;
    if expired > 0 {
        info!("cancelled {expired} imports that nobody went on with");
    }
    while products.forget_staged(late()).await? > 0 {}
    let (mut requests, mut changes, mut deleted) = (0, 0, 0);
    // A piece each time: others want to write too.
    loop {
        let piece = (
            products.purge_requests(now - REQUESTS_KEPT, late()).await?,
            products.forget_changes(now - CHANGES_KEPT, late()).await?,
            products.purge_deleted(now - KEPT_DELETED, late()).await?,
        );
        if piece == (0, 0, 0) {
            break;
        }
        (requests, changes, deleted) = (requests + piece.0, changes + piece.1, deleted + piece.2);
    }
    products.prepare_partitions(now, late()).await?;
    if requests + changes + deleted > 0 {
        info!("forgot {requests} answers, {changes} changes and {deleted} deleted products, which were old");
    }
    Ok(())
}
