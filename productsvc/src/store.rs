//! The catalogue's memory: SQLite or PostgreSQL, chosen by the URL's scheme.
//!
//! Everything SQL is below this module. Writes of several callers are committed
//! together, each whole or not at all; one with a request id is applied once. Every
//! change of a product goes through the ledger, which makes its history.

mod adoption;
mod analysis;
mod archives;
mod archiving;
mod backup;
mod books;
mod categories;
mod checks;
mod connection;
mod copy;
mod database;
mod failure;
mod group;
mod history;
mod imports;
mod jobs;
mod lists;
mod partial;
mod partitions;
mod postgres;
mod products;
mod progress;
mod purge;
mod requests;
mod restore;
mod rows;
mod search;
mod snapshot;
mod sqlite;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::adoption::{Report, Resolution};
use crate::error::Error;
use crate::import::{Job, Piece, Refused};
use crate::order::Order;
use crate::page::Page;
use crate::product::Product;
use crate::range::Range;
use crate::store::database::Database;
use crate::store::history::{FindAll, FindAsOf, FindChanges, FindSequences, FindVersion, FindVersions};
use crate::store::imports::{Begin, FindJob, FindRefused, Store, Which};
use crate::store::lists::{Explain, FindInRange, FindListed, FollowRoute};
use crate::store::postgres::Start;
use crate::store::products::{Find, FindBySku};
use crate::store::purge::{ForgetChanges, PurgeDeleted, PurgeRequests};
use crate::store::writer::Writer;
use crate::text::fold;
use crate::version::{Author, Version};
use crate::write::Write;

pub use crate::store::archives::{Archive, Hold, StoredPart};
pub use crate::store::backup::{BackupError, Holding};
pub use crate::store::categories::{Begun, Below};
pub use crate::store::checks::CheckError;
pub use crate::store::failure::OpenError;
pub use crate::store::history::Change;
pub use crate::store::imports::Beginning;
pub use crate::store::jobs::Previews;
pub use crate::store::lists::{List, Listed, Plan, Route, Total};
pub use crate::store::partitions::partition;
pub use crate::store::progress::Progress;
pub use crate::store::requests::RequestKey;

/// How long counting may wait for who writes, and take.
const PATIENCE: Duration = Duration::from_secs(60);

/// New products that change what a database should know of the table.
const MANY: i64 = 1000;

/// How long counting what was there before may take: a second for a million products.
const PREPARATION: Duration = Duration::from_secs(120);

/// Where products are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProductStore {
    database: Database,
    writer: Writer,
    /// Marked whenever this process has changed something.
    changed: watch::Sender<()>,
    /// Told when this process is asked to work on an import in the background.
    asked: Arc<Notify>,
}

impl ProductStore {
    /// Opens the database behind a `sqlite:` or `postgres:` URL and brings its tables up to date.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let database = Database::open(url).await?;
        let changed = watch::Sender::new(());
        let writer = Writer::start(database.clone(), changed.clone());
        let store = Self { database, writer, changed, asked: Arc::default() };
        store.count_categories(Instant::now() + PREPARATION).await.map_err(OpenError::Prepare)?;
        Ok(store)
    }

    /// Adopts the first Rundoo's database with decisions, or tries what would come of it;
    /// none when it is not the first Rundoo's.
    pub async fn adopt(url: &str, resolution: Resolution, is_trial: bool) -> Result<Option<Report>, OpenError> {
        Database::adopt(url, Start { resolution, is_trial }).await
    }

    /// Lets what runs end, then closes every connection.
    pub async fn close(&self) {
        self.writer.close().await;
        self.database.close().await;
    }

    /// Takes all steps of a write or none, once for its key; answers the products as
    /// they are then. A refusal says which step it is about ([`Error::At`]).
    pub async fn write(&self, write: Write, key: Option<RequestKey>, deadline: Instant) -> Result<Vec<Product>, Error> {
        self.writer.write(write, key, deadline).await
    }

    /// One product, also when it is deleted.
    pub async fn find(&self, id: i64, deadline: Instant) -> Result<Product, Error> {
        self.database.read(&Find { id }, deadline).await?.ok_or(Error::ProductNotFound { id })
    }

    /// The product that has a SKU, and is not deleted.
    pub async fn find_by_sku(&self, sku: &str, deadline: Instant) -> Result<Product, Error> {
        let found = self.database.read(&FindBySku { sku_key: &fold(sku) }, deadline).await?;
        found.ok_or_else(|| Error::SkuNotFound { sku: sku.to_owned() })
    }

    /// The version of a product that was there at a moment: of those that are here, the
    /// last that had begun.
    pub async fn find_as_of(&self, id: i64, moment: Timestamp, deadline: Instant) -> Result<Option<Version>, Error> {
        self.database.read(&FindAsOf { id, moment }, deadline).await
    }

    /// Several products in the order of their ids, or none of them.
    pub async fn find_all(&self, ids: &[i64], deadline: Instant) -> Result<Vec<Product>, Error> {
        self.database.read(&FindAll { ids }, deadline).await
    }

    /// The versions of a product before one, the newest first.
    pub async fn versions(&self, id: i64, before: i64, limit: usize, deadline: Instant) -> Result<Vec<Version>, Error> {
        self.database.read(&FindVersions { id, before, limit }, deadline).await
    }

    /// One version of a product.
    pub async fn find_version(&self, id: i64, version: i64, deadline: Instant) -> Result<Version, Error> {
        self.database.read(&FindVersion { id, version }, deadline).await
    }

    /// What happened behind a sequence, in its order.
    pub async fn changes(&self, after: i64, limit: usize, deadline: Instant) -> Result<Vec<Change>, Error> {
        self.database.read(&FindChanges { after, limit }, deadline).await
    }

    /// The sequence behind which changes are kept, and the last that was given.
    pub async fn sequences(&self, deadline: Instant) -> Result<(i64, i64), Error> {
        let (first, last) = self.database.read(&FindSequences, deadline).await?;
        Ok((first.map_or(last, |first| first - 1), last))
    }

    /// Tells whenever this process has changed something. Others change things too.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A page of a list, and how many products there are on all its pages.
    pub async fn list(&self, list: &List, deadline: Instant) -> Result<Listed, Error> {
        self.database.read(&FindListed { list }, deadline).await
    }

    /// A further page of a list, found as the one before was.
    pub async fn follow(&self, list: &List, route: Route, deadline: Instant) -> Result<Page<Product>, Error> {
        self.database.read(&FollowRoute { list, route }, deadline).await
    }

    /// The first products of a range of an order that are not deleted.
    pub async fn in_range(
        &self,
        order: Order,
        range: &Range,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Product>, Error> {
        self.database.read(&FindInRange { order, range, limit }, deadline).await
    }

    /// How the database means to answer a list: the plan of each statement.
    pub async fn explain(&self, list: &List, deadline: Instant) -> Result<Vec<Plan>, Error> {
        self.database.read(&Explain { list }, deadline).await
    }

    /// Begins an import, or finds the one that this request began before.
    pub async fn begin_import(&self, beginning: &Beginning, deadline: Instant) -> Result<Job, Error> {
        self.database.write(&Begin { beginning, now: now() }, deadline).await
    }

    /// Stores a piece of an import as the next after `job`, and answers the job as it is then.
    ///
    /// With `end` it is the last. Fails with [`Error::ImportRunning`] when the
    /// import is no longer where `job` says: another stream stores it.
    pub async fn store_piece(&self, job: &Job, piece: &Piece, rules: &Rules, deadline: Instant) -> Result<Job, Error> {
        self.wait_for_index(deadline).await?;
        let job = self.database.write(&Store { job, piece, rules, now: now() }, deadline).await?;
        self.changed.send_replace(());
        if rules.end {
            self.analyze(&job, deadline).await;
        }
        Ok(job)
    }

    /// How an import went.
    pub async fn find_import(&self, id: i64, deadline: Instant) -> Result<Job, Error> {
        self.database.read(&FindJob { which: Which::Id(id) }, deadline).await
    }

    /// The first `limit` refused rows of an import behind a line.
    pub async fn refused_rows(
        &self,
        id: i64,
        after: i64,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Refused>, Error> {
        self.database.read(&FindRefused { id, after, limit }, deadline).await
    }

    /// Forgets some of the answers that are older than `before`, and says how many.
    pub async fn purge_requests(&self, before: Timestamp, deadline: Instant) -> Result<u64, Error> {
        self.database.write(&PurgeRequests { before }, deadline).await
    }

    /// Removes some of the products that were deleted before `before`, with all their
    /// versions, and says how many.
    pub async fn purge_deleted(&self, before: Timestamp, deadline: Instant) -> Result<u64, Error> {
        let purged = self.database.write(&PurgeDeleted { before, now: now() }, deadline).await?;
        self.changed.send_replace(());
        Ok(purged)
    }

    /// Forgets some of the changes that are older than `before`, and says how many.
    pub async fn forget_changes(&self, before: Timestamp, deadline: Instant) -> Result<u64, Error> {
        self.database.write(&ForgetChanges { before, now: now() }, deadline).await
    }
}

/// Backs up the database behind a URL, as it is at one moment, into a new SQLite file.
pub async fn backup(url: &str, path: &Path, progress: &Progress) -> Result<Holding, BackupError> {
    backup::backup(url, path, progress).await
}

/// Restores a backup into the database behind a URL, which must never have held a product.
pub async fn restore(url: &str, path: &Path, progress: &Progress) -> Result<Holding, BackupError> {
    restore::restore(url, path, progress).await
}

/// Looks at all of the database behind a URL, tells whatever must not be, and says how much that is.
pub async fn check(url: &str, tell: &mut (dyn FnMut(&str) + Send), progress: &Progress) -> Result<u64, CheckError> {
    checks::check(url, tell, progress).await
}

/// Counts anew what the database behind a URL counts: products that are not deleted, and those of each category.
pub async fn recount(url: &str) -> Result<(), CheckError> {
    let database = Database::open(url).await?;
    let counted = database.write(&checks::Recount, Instant::now() + PATIENCE).await;
    database.close().await;
    counted.map_err(CheckError::Count)?;
    ProductStore::open(url).await?.close().await;
    Ok(())
}

/// How the pieces of an import are stored.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whose import it is.
    pub author: Author,
    /// Whether the import ends with this piece.
    pub end: bool,
}

/// The present moment, as both databases keep it: in microseconds.
fn now() -> Timestamp {
    from_micros(Timestamp::now().as_microsecond())
}

/// A moment of the database. One out of jiff's range was not written by us.
fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}
