//! What a database's errors mean: to be tried again, or to be told to the caller.

use std::borrow::Cow;

use sqlx::error::DatabaseError;

use crate::adoption::Report;
use crate::error::Error;

/// The database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is of no database that we know.
    #[error("the database URL must begin with sqlite: or postgres:")]
    UnknownScheme,
    /// The URL is malformed; it is not repeated, for it may hold a password.
    #[error("the database URL is malformed: {0}")]
    Malformed(String),
    /// Several connections share no database in memory.
    #[error("the database must be a file, not in memory")]
    InMemory,
    /// The file cannot be used.
    #[error("could not {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file or directory.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process holds the lock of the migrations for too long.
    #[error("another process has been opening {path} for {seconds} seconds")]
    Locked {
        /// The lock's file.
        path: String,
        /// How long we waited.
        seconds: u64,
    },
    /// There is no answer, or a refusal.
    #[error("could not connect to {place}: {cause}")]
    Connect {
        /// Where the database is, without its password.
        place: String,
        /// Why it failed; sqlx's errors repeat their sources, so it is none.
        cause: sqlx::Error,
    },
    /// What the tables lack could not be counted.
    #[error("could not prepare the database: {0}")]
    Prepare(crate::error::Error),
    /// The tables could not be brought up to date.
    #[error("could not migrate {place}: {cause}")]
    Migrate {
        /// Where the database is, without its password.
        place: String,
        /// Why it failed.
        cause: sqlx::migrate::MigrateError,
    },
    /// Others kept making the same tables.
    #[error("could not start beside others on {place}")]
    Contended {
        /// Where the database is, without its password.
        place: String,
    },
    /// The table of products is someone else's.
    #[error("{place} has a table products that is neither ours nor the first Rundoo's")]
    Foreign {
        /// Where the database is, without its password.
        place: String,
    },
    /// The tables are there, but not as this version makes them, or there are none.
    #[error("{place} has no tables of this version of Rundoo: start the product service on it once")]
    OtherTables {
        /// Where the database is, without its password.
        place: String,
    },
    /// Rows of the first Rundoo need a decision.
    #[error(
        "{} of the first Rundoo's {} products need a decision; nothing was changed\n{report}\n\
        `productsvc adopt --dry-run` lists them and what can be done (see docs/catalogue.md)",
        report.open(), report.rows
    )]
    Undecided {
        /// Which, and why.
        report: Box<Report>,
    },
    /// The first Rundoo's products could not be taken over.
    #[error("could not adopt the products of {place}: {cause}; nothing was changed")]
    Adopt {
        /// Where the database is, without its password.
        place: String,
        /// Why it failed.
        cause: Error,
    },
    /// The first Rundoo had PostgreSQL only.
    #[error("the first Rundoo had no SQLite database: there is nothing to adopt")]
    NoFirstRundoo,
}

/// Why a unit of work did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Someone else writes; it is worth waiting.
    Busy,
    /// Someone else came in between; the whole transaction must be done again.
    Conflict,
    /// No connection could be had.
    NoConnection,
    /// The answer is no.
    Refused(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::NoConnection,
            sqlx::Error::PoolClosed => Self::Refused(Error::Stopping),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => Self::Refused(Error::DatabaseAway),
            sqlx::Error::Database(cause) => from_database(cause.as_ref(), &error),
            _ => Self::Refused(Error::Internal(error.to_string())),
        }
    }
}

fn from_database(cause: &dyn DatabaseError, error: &sqlx::Error) -> Failure {
    if is_sku_taken(cause) {
        // The ledger has looked; only who does not take the catalogue first can come in between.
        return Failure::Conflict;
    }
    let code = cause.code().unwrap_or(Cow::Borrowed(""));
    if cause.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The low byte is the primary code: 5 is SQLITE_BUSY, 6 SQLITE_LOCKED.
        return match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Failure::Busy,
            // SQLITE_FULL
            Ok(13) => Failure::Refused(Error::DiskFull),
            _ => Failure::Refused(Error::Internal(error.to_string())),
        };
    }
    match code.as_ref() {
        // serialization_failure, deadlock_detected, and idle_in_transaction_session_timeout:
        // the server ended the transaction of a process that hung, and with it what was done.
        "40001" | "40P01" | "25P03" => Failure::Conflict,
        // too_many_connections, lock_not_available
        "53300" | "55P03" => Failure::Busy,
        // disk_full
        "53100" => Failure::Refused(Error::DiskFull),
        // Class 08, connections; 57P01 to 57P03, the server stops or starts.
        code if code.starts_with("08") || code.starts_with("57P0") => Failure::Refused(Error::DatabaseAway),
        _ => Failure::Refused(Error::Internal(error.to_string())),
    }
}

/// Whether this is the unique index of SKUs: by name where the driver tells it,
/// by its column on SQLite, which names columns instead.
fn is_sku_taken(cause: &dyn DatabaseError) -> bool {
    cause.is_unique_violation()
        && (cause.constraint() == Some("products_sku_key_live") || cause.message().ends_with("products.sku_key"))
}
