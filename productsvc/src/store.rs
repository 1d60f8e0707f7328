//! The catalogue's memory: SQLite or PostgreSQL, chosen by the URL's scheme.
//!
//! Everything SQL is below this module. A write runs in one transaction, which a
//! dropped call or a passed deadline takes back whole; a write with a request id
//! is applied once.

mod connection;
mod database;
mod failure;
mod imports;
mod postgres;
mod products;
mod requests;
mod sqlite;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::error::Error;
use crate::import::{Job, Mode, Piece, Refused};
use crate::page::{Cursor, Page};
use crate::product::{Change, Draft, Etag, Product};
use crate::store::database::Database;
use crate::store::imports::{Begin, FindJob, FindRefused, Store};
use crate::store::products::{Create, Delete, Find, FindLive, FindPage, Update};
use crate::store::requests::{Once, Purge};

pub use crate::store::failure::OpenError;
pub use crate::store::imports::Beginning;
pub use crate::store::products::{Field, Search};
pub use crate::store::requests::RequestKey;

/// Where products are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProductStore {
    database: Database,
}

impl ProductStore {
    /// Opens the database behind a `sqlite:` or `postgres:` URL and brings its tables up to date.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self { database: Database::open(url).await? })
    }

    /// Lets what runs end, then closes every connection.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Adds a product.
    pub async fn create(&self, draft: &Draft, key: Option<&RequestKey>, deadline: Instant) -> Result<Product, Error> {
        let create = Create { draft, now: now() };
        let created = self.database.write(&Once { key, write: create }, deadline).await;
        self.naming_the_other(created, draft, deadline).await
    }

    /// One product, also when it is deleted.
    pub async fn find(&self, id: i64, deadline: Instant) -> Result<Product, Error> {
        self.database.read(&Find { id }, deadline).await?.ok_or(Error::ProductNotFound { id })
    }

    /// Replaces what people say of a product, unless it is at another version by now.
    pub async fn update(&self, change: &Change, key: Option<&RequestKey>, deadline: Instant) -> Result<Product, Error> {
        let update = Update { change, now: now() };
        let updated = self.database.write(&Once { key, write: update }, deadline).await;
        self.naming_the_other(updated, &change.draft, deadline).await
    }

    /// Deletes a product, unless it is no longer at `etag`.
    pub async fn delete(
        &self,
        id: i64,
        etag: Option<Etag>,
        key: Option<&RequestKey>,
        deadline: Instant,
    ) -> Result<Product, Error> {
        let delete = Delete { id, etag, now: now() };
        self.database.write(&Once { key, write: delete }, deadline).await
    }

    /// A page of products, newest first: all, or those that `search` finds.
    pub async fn page(
        &self,
        search: Option<&Search>,
        cursor: Cursor,
        size: usize,
        deadline: Instant,
    ) -> Result<Page<Product>, Error> {
        self.database.read(&FindPage { search, cursor, size }, deadline).await
    }

    /// Begins an import, or finds the one that this request began before.
    pub async fn begin_import(&self, beginning: &Beginning, deadline: Instant) -> Result<Job, Error> {
        self.database.write(&Begin { beginning, now: now() }, deadline).await
    }

    /// Stores a piece of an import as the next after `job`, and answers the job as it is then.
    ///
    /// With `end` it is the last. Fails with [`Error::ImportRunning`] when the
    /// import is no longer where `job` says: another stream stores it.
    pub async fn store_piece(&self, job: &Job, piece: &Piece, rules: Rules, deadline: Instant) -> Result<Job, Error> {
        self.database.write(&Store { job, piece, rules, now: now() }, deadline).await
    }

    /// How an import went.
    pub async fn find_import(&self, id: i64, deadline: Instant) -> Result<Job, Error> {
        self.database.read(&FindJob { id }, deadline).await?.ok_or(Error::ImportNotFound { id })
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
        self.database.write(&Purge { before }, deadline).await
    }

    /// Says which product has the SKU. The transaction that met it is gone by now:
    /// PostgreSQL answers nothing more in one that failed.
    async fn naming_the_other(
        &self,
        written: Result<Product, Error>,
        draft: &Draft,
        deadline: Instant,
    ) -> Result<Product, Error> {
        if !matches!(written, Err(Error::SkuTaken { .. })) {
            return written;
        }
        let product_id = self.database.read(&FindLive { sku_key: draft.sku.key() }, deadline).await?;
        Err(Error::SkuTaken { product_id })
    }
}

/// How the pieces of an import are stored.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What happens with a row whose SKU is taken.
    pub mode: Mode,
    /// Whether the catalogue must never have held a product.
    pub only_if_new: bool,
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
