//! Old versions go from the database to the lake.
//!
//! A run takes the closed months one by one, the oldest first. Of each it writes the
//! versions to new parts, reads everything back and compares it with the database, names
//! the parts in the month's manifest and lets them count in the database; only then it
//! removes from the database exactly the versions that the parts hold. A run that ends
//! anywhere, by itself or not, leaves what the next one goes on with:
//!
//! * parts that nothing names, which are swept away;
//! * parts that only the manifest names, which are compared and then count;
//! * parts that count and whose versions are still in the database, which are compared
//!   and removed.
//!
//! A month belongs to one run at a time: to the one that the database names. Whatever a
//! run does there stands in a transaction behind that name, so one that lost its month to
//! another can do nothing more.

pub mod client;
mod comparison;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

pub use crate::archive::comparison::Sums;
use crate::archive::run::Run;
use crate::error::Error;
use crate::lake::{Lake, Month, Shape};
use crate::purge::CHANGES_KEPT;
use crate::store::{Hold, ProductStore};

/// A run that was killed has its month for so long more.
const LEASE: SignedDuration = SignedDuration::from_secs(10);

/// A statement over a page; what reads all versions takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_OF_A_SCAN: Duration = Duration::from_secs(30 * 60);

/// What is done with a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has versions that are to be archived.
    Found,
    /// They are written to the lake.
    Writing,
    /// They are read back and compared.
    Verifying,
    /// They are removed from the database.
    Removing,
    /// All is done.
    Done,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The month.
    pub month: Month,
    /// What is done with it.
    pub stage: Stage,
    /// Versions that are done.
    pub rows: i64,
    /// Versions that are to be done.
    pub total: i64,
}

/// Whom a run tells how far it is. It stops when nobody listens any more.
pub type Told = mpsc::Sender<Progress>;

/// Archives months. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archiver {
    store: ProductStore,
    lake: Lake,
    shape: Shape,
    lease: SignedDuration,
}

impl Archiver {
    /// Archives from a database to a lake.
    pub fn new(store: ProductStore, lake: Lake) -> Self {
        Self { store, lake, shape: Shape::USUAL, lease: LEASE }
    }

    /// The last month that is closed at a moment: watchers are told the versions of all
    /// changes that are kept, so a month may go when all of it is older.
    pub fn last_closed(now: Timestamp) -> Month {
        Month::last_closed(now, CHANGES_KEPT)
    }

    /// Tells what months up to one are to be archived, and archives them unless that was
    /// all that was asked.
    pub async fn run(&self, through: Month, validate_only: bool, told: &Told) -> Result<(), Error> {
        let months = self.months(through).await?;
        for (month, total) in &months {
            tell(told, Progress { month: *month, stage: Stage::Found, rows: *total, total: *total }).await?;
        }
        if validate_only || months.is_empty() {
            return Ok(());
        }
        self.refuse_another_lake().await?;
        // Nothing that is still told is older than what stays.
        while self.store.forget_changes(Timestamp::now() - CHANGES_KEPT, within(PATIENCE)).await? > 0 {}
        let run = Uuid::new_v4().to_string();
        for (month, total) in months {
            let hold = Hold { month, run: run.clone() };
            self.store.hold(&hold, self.lease, within(PATIENCE)).await?;
            let done = Box::pin(self.while_held(&hold, Run::new(self, &hold, told).month(total))).await;
            // Whoever comes next need not wait; without this it waits for the lease.
            let _released = self.store.renew(&hold, SignedDuration::ZERO, within(PATIENCE)).await;
            done?;
        }
        Ok(())
    }

    /// Fails when the lake is not the one that was archived to before: each would have a part
    /// of the history.
    async fn refuse_another_lake(&self) -> Result<(), Error> {
        let Some(archive) = self.store.archives(0, 1, within(PATIENCE)).await?.pop() else { return Ok(()) };
        for stored in self.store.parts(archive.month, within(PATIENCE)).await? {
            self.lake.require(&stored.part).await?;
        }
        Ok(())
    }

    /// The months up to one of which versions are in the database, be they in the lake or not.
    async fn months(&self, through: Month) -> Result<Vec<(Month, i64)>, Error> {
        let mut months = self.store.superseded_months(through.end(), within(PATIENCE_OF_A_SCAN)).await?;
        for month in self.store.unsettled_months(within(PATIENCE)).await? {
            if month <= through {
                months.entry(month).or_default();
            }
        }
        Ok(months.into_iter().collect())
    }

    /// Works while the month is ours, and sees to it that it stays so.
    async fn while_held<T>(&self, hold: &Hold, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let period =
            Duration::from_millis(self.lease.as_millis().unsigned_abs() as u64 / 3).max(Duration::from_millis(1));
        let lost = async {
            loop {
                tokio::time::sleep(period).await;
                if let Err(error) = self.store.renew(hold, self.lease, within(PATIENCE)).await {
                    return error;
                }
            }
        };
        let done = tokio::select! {
            done = work => done,
            error = lost => Err(error),
        };
        if let Err(Error::LakeAway { .. } | Error::LakeDamaged { .. }) = done {
            // Whoever took the month away is right to change things.
            self.store.renew(hold, self.lease, within(PATIENCE)).await?;
        }
        done
    }
}

async fn tell(told: &Told, progress: Progress) -> Result<(), Error> {
    // Nobody waits for it any more: there is nobody to tell that, either.
    told.send(progress).await.map_err(|_| Error::Stopping)
}

fn within(patience: Duration) -> Instant {
    Instant::now() + patience
}
