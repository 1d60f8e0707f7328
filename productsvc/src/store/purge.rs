//! The statements that forget: answers, changes and products that nobody asks for any more.

use jiff::Timestamp;
use sqlx::QueryBuilder;

use crate::import::State;
use crate::store::books;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;

/// How much is forgotten in one transaction: others want to write too.
const AT_ONCE: i64 = 512;

/// Forgets the answers of old writes.
pub(super) struct PurgeRequests {
    pub(super) before: Timestamp,
}

impl Work for PurgeRequests {
    type Answer = u64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<u64, Failure> {
        const PURGE: &str = "DELETE FROM write_requests
            WHERE request_id IN (SELECT request_id FROM write_requests WHERE create_time < $1 LIMIT $2)";

        let purged = on_either!(on, |c| {
            let purge = sqlx::query(PURGE).bind(self.before.as_microsecond()).bind(AT_ONCE);
            purge.execute(c).await?.rows_affected()
        });
        Ok(purged)
    }
}

/// Forgets old changes.
pub(super) struct ForgetChanges {
    pub(super) before: Timestamp,
    pub(super) now: Timestamp,
}

impl Work for ForgetChanges {
    type Answer = u64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<u64, Failure> {
        // Only the oldest are looked at: their times have no index, but nearly their order.
        // The search index is filled from changes: it has what is forgotten.
        // What an import is being undone by is kept until it is.
        const FORGET: &str = "DELETE FROM product_changes
            WHERE sequence IN (
                SELECT sequence
                FROM (SELECT sequence, change_time FROM product_changes ORDER BY sequence LIMIT $2) AS oldest
                WHERE change_time < $1
                AND sequence <= (SELECT indexed_sequence FROM search_state WHERE id = 1)
            ) AND sequence < COALESCE(
                (SELECT MIN(first_sequence)
                FROM import_pieces
                WHERE job_id IN (SELECT id FROM import_jobs WHERE state = $3)),
                sequence + 1
            )";

        // Nobody begins to undo an import meanwhile.
        books::open(self.now, on).await?;
        let forgotten = on_either!(on, |c| {
            let forget = sqlx::query(FORGET).bind(self.before.as_microsecond()).bind(AT_ONCE);
            forget.bind(State::Undoing.code()).execute(c).await?.rows_affected()
        });
        Ok(forgotten)
    }
}

/// Removes products that were deleted long ago, and their versions.
pub(super) struct PurgeDeleted {
    pub(super) before: Timestamp,
    pub(super) now: Timestamp,
}

impl Work for PurgeDeleted {
    type Answer = u64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<u64, Failure> {
        const FIND: &str = "SELECT id, version FROM products WHERE delete_time < $1 ORDER BY delete_time LIMIT $2";

        let mut ledger = books::open(self.now, on).await?;
        let found: Vec<(i64, i64)> = on_either!(on, |c| {
            sqlx::query_as(FIND).bind(self.before.as_microsecond()).bind(AT_ONCE).fetch_all(c).await?
        });
        for (id, version) in &found {
            ledger.purge(*id, *version);
        }
        let ids: Vec<i64> = found.into_iter().map(|(id, _)| id).collect();
        remove("DELETE FROM product_versions WHERE product_id IN (", &ids, on).await?;
        remove("DELETE FROM products WHERE id IN (", &ids, on).await?;
        books::close(ledger, self.now, on).await?;
        Ok(ids.len() as u64)
    }
}

async fn remove(sql: &'static str, ids: &[i64], on: &mut Connection<'_>) -> Result<(), Failure> {
    for ids in crate::store::rows::slices(ids) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new(sql);
            let mut list = sql.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            sql.push(")");
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}
