//! SQLite: one file that several processes on one machine share.
//!
//! Each process writes through one connection and reads through a few. Who writes
//! holds the file's lock from `BEGIN IMMEDIATE` on; the others try again until
//! their deadline.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqlitePool, Transaction};

use crate::store::failure::OpenError;

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long SQLite itself waits for the lock. Short, for nothing interrupts it;
/// the wait until the deadline is ours.
const BUSY_TIMEOUT: Duration = Duration::from_millis(50);

/// Reads run beside each other; more than a machine's few cores gain nothing.
const MOST_READERS: u32 = 4;

/// Memory for the pages of the writer and of each reader, in KiB as SQLite wants it: the
/// system's own cache has the rest.
const WRITER_CACHE: &str = "-16384";
const READER_CACHE: &str = "-2048";

/// Pages in the WAL that are worth folding it into the file: a page that changed often
/// meanwhile is written once.
const CHECKPOINT: &str = "8192";

/// Rows that a reader is ahead of whoever takes them: each of them may wake a thread.
const ROWS_AHEAD: usize = 512;

/// A reader that nobody used for this long gives its memory back.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a start waits for another process that migrates.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Deadlines bound the wait for a connection; the pool's own must never be first.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// An open database file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct SqliteFile {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteFile {
    /// Opens the file, makes it and its directory when missing, and migrates it.
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::from_str(url).map_err(|error| OpenError::Malformed(error.to_string()))?;
        let path = options.get_filename().to_owned();
        if url.contains(":memory:") || url.contains("mode=memory") || path.as_os_str().is_empty() {
            return Err(OpenError::InMemory);
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| at(directory, "create the directory", error))?;
        }
        // Released when it is dropped, at the latest when the process ends.
        let lock = lock(&path).await?;
        let file = Self::connect(&options)
            .await
            .map_err(|cause| OpenError::Connect { place: path.display().to_string(), cause })?;
        let migrated = MIGRATIONS.run(&file.writer).await;
        migrated.map_err(|cause| OpenError::Migrate { place: path.display().to_string(), cause })?;
        drop(lock);
        Ok(file)
    }

    async fn connect(options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let options = options.clone().busy_timeout(BUSY_TIMEOUT).foreign_keys(true).row_buffer_size(ROWS_AHEAD);
        let options = options.disable_statement_logging();
        let writing = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A write is on disk before it is answered.
            .synchronous(SqliteSynchronous::Full)
            // Rows of an import lie all over the indexes: what one piece read the next one needs.
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT);
        let reading = options.pragma("query_only", "ON").pragma("cache_size", READER_CACHE);

        let pool =
            || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_lifetime(None).test_before_acquire(false);
        // SQLite ends a transaction by itself when the disk is full or fails; the driver
        // still believes in it then. Such a connection is not used again.
        let writer = pool()
            .max_connections(1)
            .idle_timeout(None)
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(writing)
            .await?;
        let readers = pool().max_connections(MOST_READERS).idle_timeout(IDLE_TIMEOUT).connect_with(reading).await?;
        Ok(Self { writer, readers })
    }

    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.readers.acquire().await
    }

    /// Begins a transaction that holds the write lock from the start: one that
    /// takes it later could not wait for it.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        // The last one folds the WAL into the file.
        self.writer.close().await;
    }
}

/// Keeps other processes from opening and migrating the file at the same time:
/// sqlx's own lock does nothing on SQLite.
async fn lock(database: &Path) -> Result<File, OpenError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = File::create(&path).map_err(|error| at(&path, "create the lock file", error))?;
    let give_up = tokio::time::Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(at(&path, "lock", error)),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() >= give_up => {
                return Err(OpenError::Locked { path: path.display().to_string(), seconds: LOCK_TIMEOUT.as_secs() });
            }
            // Tried again instead of waited for: a wait in the kernel could not be stopped.
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn at(path: &Path, what: &'static str, source: std::io::Error) -> OpenError {
    OpenError::File { what, path: path.display().to_string(), source }
}
