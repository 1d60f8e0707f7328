//! Either database: opening it, and running units of work until their deadline.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite, Transaction};
use tokio::time::Instant;

use crate::adoption::Report;
use crate::error::Error;
use crate::store::connection::{Connection, Work};
use crate::store::failure::{Failure, OpenError};
use crate::store::postgres::{PostgresServer, Start};
use crate::store::sqlite::SqliteFile;

/// A transaction that others keep coming into is given up after so many tries.
const MOST_CONFLICTS: u32 = 5;

/// The database that the URL chose. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Database {
    Sqlite(SqliteFile),
    Postgres(PostgresServer),
}

impl Database {
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => SqliteFile::open(url).await.map(Self::Sqlite),
            Some("postgres" | "postgresql") => PostgresServer::open(url).await.map(Self::Postgres),
            _ => Err(OpenError::UnknownScheme),
        }
    }

    /// Adopts the first Rundoo's products as it is said; tells what came of them, if it is its database.
    pub(super) async fn adopt(url: &str, how: Start) -> Result<Option<Report>, OpenError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Err(OpenError::NoFirstRundoo),
            Some("postgres" | "postgresql") => PostgresServer::adopt(url, how).await,
            _ => Err(OpenError::UnknownScheme),
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(file) => file.close().await,
            Self::Postgres(server) => server.close().await,
        }
    }

    /// Does what changes nothing.
    pub(super) async fn read<W: Work>(&self, work: &W, deadline: Instant) -> Result<W::Answer, Error> {
        self.perform(Access::Read, work, deadline).await
    }

    /// Does it in a transaction: all of it or nothing.
    pub(super) async fn write<W: Work>(&self, work: &W, deadline: Instant) -> Result<W::Answer, Error> {
        self.perform(Access::Write, work, deadline).await
    }

    /// Tries until it is done, refused or too late.
    ///
    /// When the deadline passes, or the caller goes away, the attempt is dropped,
    /// and what it had begun is rolled back.
    async fn perform<W: Work>(&self, access: Access, work: &W, deadline: Instant) -> Result<W::Answer, Error> {
        let attempts = async {
            let mut conflicts = 0;
            loop {
                let attempt = match access {
                    Access::Read => self.try_read(work).await,
                    Access::Write => self.try_write(work).await,
                };
                match attempt {
                    Ok(answer) => return Ok(answer),
                    Err(Failure::Refused(error)) => return Err(error),
                    Err(Failure::Conflict) if conflicts == MOST_CONFLICTS => return Err(Error::DatabaseBusy),
                    Err(Failure::Conflict) => conflicts += 1,
                    Err(Failure::NoConnection) if !self.is_reachable().await => return Err(Error::DatabaseAway),
                    Err(Failure::NoConnection | Failure::Busy) => {}
                }
                tokio::time::sleep(pause()).await;
            }
        };
        tokio::time::timeout_at(deadline, attempts).await.unwrap_or(Err(Error::DatabaseBusy))
    }

    async fn try_read<W: Work>(&self, work: &W) -> Result<W::Answer, Failure> {
        match self {
            Self::Sqlite(file) => {
                let mut reader: PoolConnection<Sqlite> = file.reader().await?;
                work.run(&mut Connection::Sqlite(&mut reader)).await
            }
            Self::Postgres(server) => {
                let mut connection: PoolConnection<Postgres> = server.connection().await?;
                work.run(&mut Connection::Postgres(&mut connection)).await
            }
        }
    }

    async fn try_write<W: Work>(&self, work: &W) -> Result<W::Answer, Failure> {
        match self {
            Self::Sqlite(file) => {
                let mut transaction: Transaction<'static, Sqlite> = file.begin().await?;
                let answer = work.run(&mut Connection::Sqlite(&mut transaction)).await?;
                transaction.commit().await?;
                Ok(answer)
            }
            Self::Postgres(server) => {
                let mut transaction: Transaction<'static, Postgres> = server.begin().await?;
                let answer = work.run(&mut Connection::Postgres(&mut transaction)).await?;
                transaction.commit().await?;
                Ok(answer)
            }
        }
    }

    /// Whether the lack of connections means that all are in use.
    async fn is_reachable(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(server) => server.is_reachable().await,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Access {
    Read,
    Write,
}

/// How long to wait for others, with jitter so that equals do not meet again. A
/// write takes a few milliseconds, most of them for the disk.
pub(super) fn pause() -> Duration {
    Duration::from_micros(fastrand::u64(500..8_000))
}
