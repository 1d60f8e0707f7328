//! How a process makes our tables, or those of today, beside others that start with it.
//!
//! All of it is one transaction that holds a row of its own from the beginning: nobody
//! else is in the midst of it, and who is killed in it has done nothing. sqlx would take
//! an advisory lock instead, which not every database that speaks PostgreSQL's protocol has.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};
use tracing::info;

use crate::adoption::{Report, Resolution};
use crate::store::adoption::{Past, adopt, move_aside, past};
use crate::store::failure::{Failure, OpenError};

/// A start that others keep coming into is given up after so many tries.
const MOST_CONFLICTS: u32 = 5;

/// How a database may be opened.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct Start {
    /// What becomes of rows of the first Rundoo that the catalogue does not take as they are.
    pub(in crate::store) resolution: Resolution,
    /// Whether nothing is to be kept of it.
    pub(in crate::store) is_trial: bool,
}

/// Why a start came to nothing.
enum Broken {
    /// Someone else came in between.
    Conflict,
    Failed(OpenError),
}

/// The scripts that make our tables.
pub(in crate::store) fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_locking(false);
    migrations
}

/// Brings the tables up to date; tells what was adopted, if there was something.
pub(super) async fn start(connection: &mut PgConnection, how: Start, place: &str) -> Result<Option<Report>, OpenError> {
    let mut conflicts = 0;
    loop {
        match attempt(connection, how, place).await {
            Ok(report) => return Ok(report),
            Err(Broken::Conflict) if conflicts < MOST_CONFLICTS => conflicts += 1,
            Err(Broken::Conflict) => {
                return Err(OpenError::Contended { place: place.to_owned() });
            }
            Err(Broken::Failed(error)) => return Err(error),
        }
        tokio::time::sleep(crate::store::database::pause()).await;
    }
}

async fn attempt(connection: &mut PgConnection, how: Start, place: &str) -> Result<Option<Report>, Broken> {
    let broken = |cause: sqlx::Error| from_sqlx(cause, |cause| OpenError::Connect { place: place.to_owned(), cause });
    let mut transaction = connection.begin().await.map_err(broken)?;
    lock(&mut transaction).await.map_err(broken)?;
    let past = past(&mut transaction).await.map_err(broken)?;
    match past {
        Past::Ours => {}
        Past::FirstRundoo => move_aside(&mut transaction).await.map_err(broken)?,
        Past::Foreign => return Err(Broken::Failed(OpenError::Foreign { place: place.to_owned() })),
    }
    migrations().run(&mut *transaction).await.map_err(|error| from_migration(error, place))?;
    let report = match past {
        Past::FirstRundoo => {
            let now = crate::store::now();
            let report =
                adopt(how.resolution, now, &mut transaction).await.map_err(|error| from_failure(error, place))?;
            if report.open() > 0 && !how.is_trial {
                return Err(Broken::Failed(OpenError::Undecided { report: Box::new(report) }));
            }
            Some(report)
        }
        _ => None,
    };
    if how.is_trial {
        transaction.rollback().await.map_err(broken)?;
        return Ok(report);
    }
    transaction.commit().await.map_err(broken)?;
    if let Some(report) = &report {
        let (adopted, rows) = (report.adopted, report.rows);
        info!("adopted {adopted} of the first Rundoo's {rows} products; its table is first_rundoo.products now");
    }
    Ok(report)
}

/// Waits until nobody else starts.
async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const TABLE: &str = "CREATE TABLE IF NOT EXISTS start_lock (
            id BIGINT NOT NULL,
            CONSTRAINT start_lock_pkey PRIMARY KEY (id)
        )";
    const ROW: &str = "INSERT INTO start_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING";
    const TAKE: &str = "UPDATE start_lock SET id = id WHERE id = 1";

    const THERE: &str = "SELECT COUNT(*)
        FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_name = 'start_lock'";

    let there: i64 = sqlx::query_scalar(THERE).fetch_one(&mut *connection).await?;
    if there == 0 {
        // Of two that make it at once, one waits for the other and then fails: it begins anew.
        for statement in [TABLE, ROW] {
            sqlx::query(statement).execute(&mut *connection).await?;
        }
    }
    sqlx::query(TAKE).execute(connection).await.map(drop)
}

fn from_sqlx(cause: sqlx::Error, otherwise: impl FnOnce(sqlx::Error) -> OpenError) -> Broken {
    let code = cause.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        // unique_violation and duplicate_table: both made a table; serialization_failure, deadlock_detected
        Some("23505" | "42P07" | "40001" | "40P01") => Broken::Conflict,
        _ => Broken::Failed(otherwise(cause)),
    }
}

fn from_migration(error: MigrateError, place: &str) -> Broken {
    let failed = |cause| OpenError::Migrate { place: place.to_owned(), cause };
    match error {
        MigrateError::Execute(cause) => from_sqlx(cause, |cause| failed(MigrateError::Execute(cause))),
        MigrateError::ExecuteMigration(cause, version) => {
            from_sqlx(cause, |cause| failed(MigrateError::ExecuteMigration(cause, version)))
        }
        other => Broken::Failed(failed(other)),
    }
}

fn from_failure(failure: Failure, place: &str) -> Broken {
    let cause = match failure {
        Failure::Conflict | Failure::Busy => return Broken::Conflict,
        Failure::NoConnection => crate::error::Error::DatabaseAway,
        Failure::Refused(error) => error,
    };
    Broken::Failed(OpenError::Adopt { place: place.to_owned(), cause })
}
