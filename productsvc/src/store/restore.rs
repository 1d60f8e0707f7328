//! A restore: what a backup holds, into a catalogue that has never held a product.
//!
//! One transaction: who is killed in it has done nothing, and whoever serves the catalogue
//! meanwhile shows an empty one until it is there.

use std::path::Path;

use sqlx::Connection as _;

use crate::store::backup::{BackupError, Holding, check, copy_all, counted};
use crate::store::connection::{Connection, on_either};
use crate::store::database::Database;
use crate::store::progress::Progress;
use crate::store::snapshot::Snapshot;
use crate::store::tables::{rebuild, unlike};

/// Restores a file into the database behind a URL, which is made when it is a file that is missing.
pub(super) async fn restore(url: &str, path: &Path, progress: &Progress) -> Result<Holding, BackupError> {
    let holding = check(path, None, progress).await?;
    let mut source = Snapshot::open_file(path).await?;
    source.begin().await?;
    let database = Database::open(url).await?;
    let restored = match &database {
        Database::Sqlite(file) => {
            let mut transaction = file.begin().await?;
            into(&mut source, &mut Connection::Sqlite(&mut transaction), progress).await?;
            progress.begin("committing", 0);
            transaction.commit().await
        }
        Database::Postgres(server) => {
            let mut transaction = server.begin().await?;
            into(&mut source, &mut Connection::Postgres(&mut transaction), progress).await?;
            sqlx::query("ANALYZE products").execute(&mut *transaction).await?;
            progress.begin("committing", 0);
            transaction.commit().await
        }
    };
    restored?;
    database.close().await;
    if let Snapshot::Sqlite(connection) = source {
        connection.close().await?;
    }
    Ok(holding)
}

async fn into(source: &mut Snapshot, to: &mut Connection<'_>, progress: &Progress) -> Result<(), BackupError> {
    // Whoever writes waits now, and finds a catalogue that is not new.
    const TAKE: &str = "UPDATE catalogue SET last_id = last_id WHERE id = 1 RETURNING last_id, last_sequence";
    const IMPORTS: &str = "SELECT COUNT(*) FROM import_jobs";

    let clock: (i64, i64) = on_either!(to, |c| sqlx::query_as(TAKE).fetch_one(c).await?);
    let imports: i64 = on_either!(to, |c| sqlx::query_scalar(IMPORTS).fetch_one(c).await?);
    if clock != (0, 0) || imports > 0 {
        return Err(BackupError::NotNew);
    }
    let listed = unlike(&mut source.connection()).await?;
    if let Some(table) = listed.or(unlike(to).await?) {
        return Err(BackupError::Unlike { table });
    }
    let rows = counted(&mut source.connection()).await?;
    copy_all(&mut source.connection(), to, (&rows, progress)).await?;
    progress.begin("indexing", 0);
    Ok(rebuild(to).await?)
}
