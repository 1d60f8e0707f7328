//! A database that is there, as it is at one moment: nothing is made, migrated or changed.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, SqliteConnection};

use crate::store::connection::{Connection, on_either};
use crate::store::failure::OpenError;
use crate::store::postgres;

/// How long a statement waits for who writes; readers hardly ever do.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// `SQLITE_ERROR` and `undefined_table`.
const NO_SUCH_TABLE: [&str; 2] = ["1", "42P01"];

/// A connection of its own to a database that someone may serve meanwhile.
#[derive(Debug)]
pub(super) enum Snapshot {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Snapshot {
    /// Connects to a database whose tables are those of this version.
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let (mut opened, place) = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let options =
                    SqliteConnectOptions::from_str(url).map_err(|error| OpenError::Malformed(error.to_string()))?;
                let place = options.get_filename().display().to_string();
                (Self::file(&options, &place).await?, place)
            }
            Some("postgres" | "postgresql") => {
                let options = postgres::options(url)?;
                (Self::Postgres(postgres::connect(&options).await?), postgres::place(&options))
            }
            _ => return Err(OpenError::UnknownScheme),
        };
        opened.require_tables(&place).await?;
        Ok(opened)
    }

    /// The same of a file.
    pub(super) async fn open_file(path: &Path) -> Result<Self, OpenError> {
        let place = path.display().to_string();
        let options = SqliteConnectOptions::new().filename(path);
        let mut opened = Self::file(&options, &place).await?;
        opened.require_tables(&place).await?;
        Ok(opened)
    }

    async fn file(options: &SqliteConnectOptions, place: &str) -> Result<Self, OpenError> {
        let options = options.clone().create_if_missing(false).busy_timeout(BUSY_TIMEOUT).disable_statement_logging();
        let connected = options.connect().await;
        let failed = |cause| OpenError::Connect { place: place.to_owned(), cause };
        connected.map(Self::Sqlite).map_err(failed)
    }

    /// Sees from now on what is there now, whatever others write.
    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        const SEE: &str = "SELECT last_sequence FROM catalogue";

        let begin = match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let mut on = self.connection();
        on_either!(&mut on, |c| sqlx::raw_sql(begin).execute(c).await.map(drop)?);
        // The first statement is the moment.
        on_either!(&mut on, |c| sqlx::query(SEE).execute(c).await.map(drop)?);
        Ok(())
    }

    /// The connection, for statements that change nothing.
    pub(super) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection) => Connection::Postgres(connection),
        }
    }

    /// Fails when the tables are older or newer than this program.
    async fn require_tables(&mut self, place: &str) -> Result<(), OpenError> {
        const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";

        let migrations = match self {
            Self::Sqlite(_) => sqlx::migrate!("migrations/sqlite"),
            Self::Postgres(_) => postgres::migrations(),
        };
        let known: Vec<(i64, Vec<u8>)> =
            migrations.iter().map(|migration| (migration.version, migration.checksum.to_vec())).collect();
        let other = || OpenError::OtherTables { place: place.to_owned() };
        match self.applied(APPLIED).await {
            Ok(applied) if applied == known => Ok(()),
            Ok(_) => Err(other()),
            Err(sqlx::Error::Database(error)) if NO_SUCH_TABLE.contains(&error.code().unwrap_or_default().as_ref()) => {
                Err(other())
            }
            Err(cause) => Err(OpenError::Connect { place: place.to_owned(), cause }),
        }
    }

    async fn applied(&mut self, sql: &'static str) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
        Ok(on_either!(&mut self.connection(), |c| sqlx::query_as(sql).fetch_all(c).await?))
    }
}
