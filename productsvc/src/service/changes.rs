//! Changes of the catalogue as they come, in the order of their commits.

use std::time::Duration;

use proto::products::WatchProductsResponse;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::error::Error;
use crate::service::{PATIENCE, answers};
use crate::store::ProductStore;

/// How often we look for what other processes changed. Of our own we know at once.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// After so long without a change we say that there was none.
const SILENCE: Duration = Duration::from_secs(30);

/// Changes that are read at once: a page of the greatest is 1 MiB.
const PAGE: usize = 500;

/// Changes that wait for a slow watcher. It misses none: they are read when it reads.
pub(super) const AHEAD: usize = 64;

/// A place among all changes, and who is told what comes behind it.
pub(super) struct Watcher {
    store: ProductStore,
    /// Everything up to it was told.
    position: i64,
    told: mpsc::Sender<Result<WatchProductsResponse, Status>>,
}

impl Watcher {
    /// Begins behind a sequence, or with what comes from now on.
    pub(super) async fn begin(
        store: ProductStore,
        after: Option<i64>,
        told: mpsc::Sender<Result<WatchProductsResponse, Status>>,
    ) -> Result<Self, Error> {
        let (forgotten, last) = store.sequences(Instant::now() + PATIENCE).await?;
        let position = match after {
            None => last,
            Some(0) => forgotten,
            Some(after) if !(0..=last).contains(&after) => {
                return Err(Error::invalid("after_sequence", format!("must be 0 to {last}, the last that was given")));
            }
            Some(after) if after < forgotten => return Err(Error::ChangesForgotten { first: forgotten + 1 }),
            Some(after) => after,
        };
        Ok(Self { store, position, told })
    }

    /// Tells until nobody listens, the process stops or changes are forgotten before they are told.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let told = self.told.clone();
        let ended = tokio::select! {
            ended = self.tell_all() => ended.err(),
            () = stopping.cancelled() => Some(Error::Stopping),
            () = told.closed() => None,
        };
        if let Some(error) = ended {
            // Who does not read is not waited for: the stream ends then without a reason.
            let _full = told.try_send(Err(error.into()));
        }
    }

    async fn tell_all(&mut self) -> Result<(), Error> {
        let mut changed = self.store.changed();
        if !self.tell(self.nothing()).await {
            return Ok(());
        }
        let mut silent_since = Instant::now();
        loop {
            changed.mark_unchanged();
            let changes = self.store.changes(self.position, PAGE, Instant::now() + PATIENCE).await?;
            let more = changes.len() == PAGE;
            for change in changes {
                if change.sequence != self.position + 1 {
                    return Err(Error::ChangesForgotten { first: change.sequence });
                }
                self.position = change.sequence;
                if !self.tell(answers::change(change)).await {
                    return Ok(());
                }
                silent_since = Instant::now();
            }
            if silent_since.elapsed() >= SILENCE {
                silent_since = Instant::now();
                if !self.tell(self.nothing()).await {
                    return Ok(());
                }
            }
            if !more {
                // Whichever is first; the store lives as long as we do.
                let _either = tokio::time::timeout(LOOK_PERIOD, changed.changed()).await;
            }
        }
    }

    async fn tell(&self, message: WatchProductsResponse) -> bool {
        self.told.send(Ok(message)).await.is_ok()
    }

    fn nothing(&self) -> WatchProductsResponse {
        WatchProductsResponse { sequence: self.position, ..Default::default() }
    }
}
