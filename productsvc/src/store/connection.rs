//! A connection to either database, and the units of work that run on one.

use sqlx::{PgConnection, SqliteConnection};

use crate::store::failure::Failure;

/// A connection to either database, inside a transaction when it is for writing.
#[derive(Debug)]
pub(super) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// Runs the same statement on whichever database the connection is to.
///
/// The types of sqlx's two drivers have no common one, so the block is compiled
/// twice; in it, `$executor` is the connection, to be used once.
macro_rules! on_either {
    ($connection:expr, |$executor:ident| $statement:expr) => {
        match $connection {
            $crate::store::connection::Connection::Sqlite(connection) => {
                let $executor = &mut **connection;
                $statement
            }
            $crate::store::connection::Connection::Postgres(connection) => {
                let $executor = &mut **connection;
                $statement
            }
        }
    };
}
pub(super) use on_either;

/// Something to do on a connection, as a value: it may have to be done again.
pub(super) trait Work: Sync {
    /// What comes of it.
    type Answer: Send;

    /// Does it.
    fn run(&self, on: &mut Connection<'_>) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}
