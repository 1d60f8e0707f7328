//! A backup: a SQLite file with all of a catalogue as it was at one moment, which can be served as it is.
//!
//! It is written under another name beside its own, checked, forced to disk and only then
//! given its name, which nothing else may have. Who writes meanwhile does not wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use crate::store::connection::{Connection, on_either};
use crate::store::copy::{clear, copy, count, go_on_behind, last_id};
use crate::store::failure::OpenError;
use crate::store::progress::Progress;
use crate::store::snapshot::Snapshot;
use crate::store::tables::{TABLES, rebuild, unlike};
use crate::store::{partial::Partial, sqlite};

/// How often the size of a growing file is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Why there is no backup, or no restored catalogue.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A statement failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A file could not be used.
    #[error("could not {what} {path}: {cause}")]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// Something has the name already.
    #[error("{path} is there already, and nothing is overwritten")]
    Exists {
        /// Which name.
        path: String,
    },
    /// A table is not as this program knows it.
    #[error("the table {table} has other columns than this version of Rundoo knows")]
    Unlike {
        /// Which table.
        table: &'static str,
    },
    /// The file is not whole.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// Which file.
        path: String,
        /// What SQLite says.
        problem: String,
    },
    /// Not all rows came over.
    #[error("{there} of {wanted} rows of {table} came over")]
    Short {
        /// Of which table.
        table: &'static str,
        /// How many came.
        there: u64,
        /// How many there are.
        wanted: u64,
    },
    /// The catalogue has held products.
    #[error("the catalogue has held products before: a backup is only restored into a new one")]
    NotNew,
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// All changes up to this one, and none behind it.
    pub last_sequence: i64,
    /// Products that are not deleted.
    pub live_products: i64,
    /// Rows of all tables.
    pub rows: u64,
}

/// Backs up the database behind a URL.
pub(super) async fn backup(url: &str, path: &Path, progress: &Progress) -> Result<Holding, BackupError> {
    if path.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: path.display().to_string() });
    }
    let mut source = Snapshot::open(url).await?;
    if let Some(table) = unlike(&mut source.connection()).await? {
        return Err(BackupError::Unlike { table });
    }
    let partial = Partial::beside(path);
    let wanted = match source {
        Snapshot::Sqlite(connection) => {
            vacuum(connection, partial.path(), progress).await?;
            None
        }
        Snapshot::Postgres(_) => {
            source.begin().await?;
            let rows = counted(&mut source.connection()).await?;
            fill(&mut source, partial.path(), (&rows, progress)).await?;
            Some(rows)
        }
    };
    let holding = check(partial.path(), wanted.as_deref(), progress).await?;
    partial.keep_as(path)?;
    Ok(holding)
}

/// Has SQLite write the file itself: all that the catalogue has, in order and without gaps.
async fn vacuum(mut from: SqliteConnection, to: &Path, progress: &Progress) -> Result<(), BackupError> {
    const SIZE: &str = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";

    let size: i64 = sqlx::query_scalar(SIZE).fetch_one(&mut from).await?;
    progress.begin("copying", size.unsigned_abs());
    let vacuum = sqlx::query("VACUUM INTO $1").bind(to.display().to_string()).execute(&mut from);
    let watch = async {
        loop {
            tokio::time::sleep(LOOK_PERIOD).await;
            progress.reach(to.metadata().map_or(0, |file| file.len()));
        }
    };
    tokio::select! {
        done = vacuum => done.map(drop)?,
        () = watch => {}
    }
    from.close().await?;
    Ok(())
}

/// Copies all tables into a new file.
async fn fill(source: &mut Snapshot, to: &Path, (rows, progress): (&[u64], &Progress)) -> Result<(), BackupError> {
    let options = SqliteConnectOptions::new()
        .filename(to)
        .create_if_missing(true)
        // Until it has its name nobody reads it: it is forced to disk then, once.
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        // Enough to write in order, and to sort the indexes that are made at the end.
        .pragma("cache_size", "-8192")
        .foreign_keys(false)
        .disable_statement_logging();
    let mut file = options.connect().await?;
    sqlite::MIGRATIONS.run(&mut file).await.map_err(|cause| {
        let place = to.display().to_string();
        OpenError::Migrate { place, cause }
    })?;
    sqlx::query("BEGIN").execute(&mut file).await?;
    let indexes = drop_indexes(&mut file).await?;
    copy_all(&mut source.connection(), &mut Connection::Sqlite(&mut file), (rows, progress)).await?;
    progress.begin("indexing", indexes.len() as u64);
    for index in indexes {
        sqlx::query(AssertSqlSafe(index)).execute(&mut file).await?;
        progress.advance(1);
    }
    rebuild(&mut Connection::Sqlite(&mut file)).await?;
    sqlx::query("COMMIT").execute(&mut file).await?;
    file.close().await?;
    Ok(())
}

/// Copies every table of `from` into `to`, in place of what is there.
pub(super) async fn copy_all(
    from: &mut Connection<'_>,
    to: &mut Connection<'_>,
    (rows, progress): (&[u64], &Progress),
) -> Result<(), BackupError> {
    for table in TABLES.iter().rev() {
        clear(table, to).await?;
    }
    for (table, wanted) in TABLES.iter().zip(rows) {
        progress.begin(table.name, *wanted);
        let there = copy(table, from, to, progress).await?;
        if there != *wanted {
            return Err(BackupError::Short { table: table.name, there, wanted: *wanted });
        }
        if table.gives_ids {
            let last = last_id(table, from).await?;
            go_on_behind(table, last, to).await?;
        }
    }
    Ok(())
}

/// How many rows each table has.
pub(super) async fn counted(on: &mut Connection<'_>) -> Result<Vec<u64>, sqlx::Error> {
    let mut rows = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        rows.push(count(table, on).await?);
    }
    Ok(rows)
}

/// Indexes are made in a fraction of the time when the rows are there. Returns how.
async fn drop_indexes(file: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    const FIND: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";

    let indexes: Vec<(String, String)> = sqlx::query_as(FIND).fetch_all(&mut *file).await?;
    for (name, _) in &indexes {
        // A name of one of our migrations.
        sqlx::query(AssertSqlSafe(format!("DROP INDEX {name}"))).execute(&mut *file).await?;
    }
    Ok(indexes.into_iter().map(|(_, sql)| sql).collect())
}

/// Reads a file whole, and says what it holds. `wanted` are the rows of each table, where they are known.
pub(super) async fn check(path: &Path, wanted: Option<&[u64]>, progress: &Progress) -> Result<Holding, BackupError> {
    const INTEGRITY: &str = "PRAGMA integrity_check(1)";
    const HOLDING: &str = "SELECT last_sequence, live_products FROM catalogue WHERE id = 1";
    const LIVE: &str = "SELECT COUNT(*) FROM products WHERE delete_time IS NULL";

    progress.begin("verifying", 0);
    let mut file = Snapshot::open_file(path).await?;
    let damaged = |problem: String| BackupError::Damaged { path: path.display().to_string(), problem };
    let mut on = file.connection();
    let said: String = on_either!(&mut on, |c| sqlx::query_scalar(INTEGRITY).fetch_one(c).await?);
    if said != "ok" {
        return Err(damaged(said));
    }
    let rows = counted(&mut on).await?;
    for ((table, there), wanted) in TABLES.iter().zip(&rows).zip(wanted.unwrap_or(&rows)) {
        if there != wanted {
            return Err(BackupError::Short { table: table.name, there: *there, wanted: *wanted });
        }
    }
    let (last_sequence, live_products) = on_either!(&mut on, |c| sqlx::query_as(HOLDING).fetch_one(c).await?);
    let live: i64 = on_either!(&mut on, |c| sqlx::query_scalar(LIVE).fetch_one(c).await?);
    if live != live_products {
        return Err(damaged(format!("it has {live} products that are not deleted, and counts {live_products}")));
    }
    if let Snapshot::Sqlite(connection) = file {
        connection.close().await?;
    }
    Ok(Holding { last_sequence, live_products, rows: rows.iter().sum() })
}

/// A file beside another.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
