//! The statement that tells PostgreSQL what a table holds, when that has changed much.

use crate::store::connection::{Connection, Work};
use crate::store::failure::Failure;

/// Counts anew what the planner goes by.
///
/// PostgreSQL does so by itself within a minute. Until then it takes a large table for
/// an empty one, and sorts all of it for each page.
pub(super) struct Analyze;

impl Work for Analyze {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        // SQLite plans by its indexes alone.
        if let Connection::Postgres(connection) = on {
            sqlx::query("ANALYZE products").execute(&mut **connection).await?;
        }
        Ok(())
    }
}
