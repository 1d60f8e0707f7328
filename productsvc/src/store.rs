//! The catalogue's memory: SQLite or PostgreSQL, chosen by the URL's scheme.
//!
//! Everything SQL is below this module. Writes of several callers are committed
//! together, each whole or not at all; one with a request id is applied once. Every
//! change of a product goes through the ledger, which makes its history.

mod analysis;
mod books;
mod connection;
mod database;
mod failure;
mod group;
mod history;
mod imports;
mod jobs;
mod postgres;
mod products;
mod purge;
mod requests;
mod rows;
mod sqlite;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::error::Error;
use crate::import::{Job, Piece, Refused};
use crate::order::Order;
use crate::page::{Cursor, Page};
use crate::product::Product;
use crate::store::database::Database;
use crate::store::history::{FindAll, FindAsOf, FindChanges, FindSequences, FindVersion, FindVersions};
use crate::store::imports::{Begin, FindJob, FindRefused, Store, Which};
use crate::store::products::{Count, Find, FindBySku, FindPage};
use crate::store::purge::{ForgetChanges, PurgeDeleted, PurgeRequests};
use crate::store::writer::Writer;
use crate::text::fold;
use crate::version::{Author, Version};
use crate::write::Write;

pub use crate::store::failure::OpenError;
pub use crate::store::history::Change;
pub use crate::store::imports::Beginning;
pub use crate::store::jobs::Previews;
pub use crate::store::products::{Field, Search};
pub use crate::store::requests::RequestKey;

/// New products that change what a database should know of the table.
const MANY: i64 = 1000;

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
        Ok(Self { database, writer, changed, asked: Arc::default() })
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

    /// A product as it was at a moment.
    pub async fn find_as_of(&self, id: i64, moment: Timestamp, deadline: Instant) -> Result<Product, Error> {
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

    /// A page of products in an order: all, or those that `listing` finds.
    pub async fn page(&self, listing: &Listing, size: usize, deadline: Instant) -> Result<Page<Product>, Error> {
        let Listing { search, order, cursor } = listing;
        self.database.read(&FindPage { search: search.as_ref(), order: *order, cursor, size }, deadline).await
    }

    /// How many products are not deleted.
    pub async fn count(&self, deadline: Instant) -> Result<i64, Error> {
        self.database.read(&Count, deadline).await
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

/// What is listed, in which order, and from where on.
#[derive(Debug, Clone)]
pub struct Listing {
    /// What is searched; all is listed without.
    pub search: Option<Search>,
    /// In which order.
    pub order: Order,
    /// From where on.
    pub cursor: Cursor,
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
