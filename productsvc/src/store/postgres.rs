//! PostgreSQL, or a database that speaks its protocol.

mod start;

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, Transaction};

use crate::adoption::Report;
use crate::store::failure::OpenError;

pub(super) use crate::store::postgres::start::{Start, migrations};

/// PostgreSQL allows 100 by default: this leaves room for several processes.
const MOST_CONNECTIONS: u32 = 10;

/// After so long without a connection we look whether the server is there.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// A server that does not greet us in this time counts as away.
const GREETING_TIMEOUT: Duration = Duration::from_secs(1);

/// A start is worth a longer wait than a call: name resolution, TLS, a busy server.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that nobody used for this long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// A server that we are connected to, or will be again. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct PostgresServer {
    pool: PgPool,
}

impl PostgresServer {
    /// Connects and migrates. Several processes may at once: see [`start`].
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        Self::start(&options, Start::default()).await?;
        let pool = PgPoolOptions::new()
            .max_connections(MOST_CONNECTIONS)
            .after_connect(|connection, _| Box::pin(prepare(connection)))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT);
        Ok(Self { pool: pool.connect_lazy_with(options) })
    }

    /// Adopts the first Rundoo's products as it is said; tells what came of them, if it is its database.
    pub(super) async fn adopt(url: &str, how: Start) -> Result<Option<Report>, OpenError> {
        Self::start(&options(url)?, how).await
    }

    async fn start(options: &PgConnectOptions, how: Start) -> Result<Option<Report>, OpenError> {
        let mut first = connect(options).await?;
        let place = place(options);
        let report = start::start(&mut first, how, &place).await?;
        first.close().await.map_err(|cause| OpenError::Connect { place, cause })?;
        Ok(report)
    }

    pub(super) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.pool.acquire().await
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.pool.begin().await
    }

    /// Whether the server greets a new connection, if only to say that it has too many.
    pub(super) async fn is_reachable(&self) -> bool {
        let options = self.pool.connect_options();
        match tokio::time::timeout(GREETING_TIMEOUT, options.connect()).await {
            Ok(Ok(connection)) => connection.close().await.is_ok(),
            // too_many_connections
            Ok(Err(sqlx::Error::Database(error))) => error.code().as_deref() == Some("53300"),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// What the URL says, and who we are.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Malformed(error.to_string()))?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("productsvc"),
    };
    Ok(options.disable_statement_logging())
}

/// A connection outside the pool: a pool would not say why it got none.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let failed = |cause| OpenError::Connect { place: place(options), cause };
    let greeting = tokio::time::timeout(START_TIMEOUT, options.connect()).await;
    let mut connection = greeting.map_err(|_| failed(sqlx::Error::PoolTimedOut))?.map_err(failed)?;
    prepare(&mut connection).await.map_err(failed)?;
    Ok(connection)
}

/// What every connection of ours is told first, in this process.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A plan that is kept from when a table was small reads all of it when it is large.
    const PLAN_ANEW: &str = "SET plan_cache_mode = force_custom_plan";
    // A process that hangs in a transaction may hold the row of `catalogue`, and whoever writes
    // waits for it. Our statements follow each other in milliseconds; the time that a call has
    // by default bounds how long the others wait.
    const DO_NOT_HANG: &str = "SET idle_in_transaction_session_timeout = '10s'";

    for setting in [PLAN_ANEW, DO_NOT_HANG] {
        sqlx::query(setting).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Where the server is, for people: everything but the password.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("the database {database} at {host} as {}", options.get_username())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_host_and_database_but_no_password() {
        let options = PgConnectOptions::from_str("postgres://clerk:hunter2@db.example:6432/catalogue").unwrap();

        assert_eq!(place(&options), "the database catalogue at db.example:6432 as clerk");
    }
}
