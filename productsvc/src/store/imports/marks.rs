//! A job's mark, which moves in the transaction of each piece, and its counts.
//!
//! It moves from where the piece found it: this is what makes an import do each thing
//! once, however often it breaks off, and what tells a second one that it is second.

use crate::error::Error;
use crate::import::{Job, State};
use crate::store::connection::{Connection, on_either};
use crate::store::failure::Failure;
use crate::store::imports::{JobRow, Lease, columns};

/// The job of an id.
pub(super) async fn find(id: i64, on: &mut Connection<'_>) -> Result<Job, Failure> {
    const FIND: &str = concat!("SELECT ", columns!(), " FROM import_jobs WHERE id = $1");

    let row: Option<JobRow> = on_either!(on, |c| sqlx::query_as(FIND).bind(id).fetch_optional(c).await?);
    Ok(row.map(Job::from).ok_or(Error::ImportNotFound { id })?)
}

/// Moves the mark of a job that is still as it was found, by whoever has its lease.
pub(super) async fn advance(job: &Job, mark: i64, lease: &Lease<'_>, on: &mut Connection<'_>) -> Result<(), Failure> {
    const MOVE: &str = "UPDATE import_jobs
        SET mark = $3, lease_expiry = $6
        WHERE id = $1 AND mark = $2 AND state = $4 AND worker = $5";

    let moved = on_either!(on, |c| {
        let moving = sqlx::query(MOVE).bind(job.id).bind(job.mark).bind(mark);
        let moving = moving.bind(job.state.code()).bind(lease.worker).bind(lease.expiry.as_microsecond());
        moving.execute(c).await?.rows_affected()
    });
    if moved == 1 {
        return Ok(());
    }
    match find(job.id, on).await?.state {
        state @ State::Cancelled => Err(Error::ImportState { id: job.id, state }.into()),
        // Whoever was faster may have ended it.
        _ => Err(Error::ImportRunning.into()),
    }
}

/// What a piece adds to the counts of its job.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Added {
    pub(super) rows: i64,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) unchanged: i64,
    pub(super) refused: i64,
    pub(super) staged: i64,
    pub(super) undone: i64,
    pub(super) conflicts: i64,
}

/// Adds to the counts of a job and says how far it is; `end_time` where it ends.
pub(super) async fn count(
    id: i64,
    added: Added,
    state: State,
    end_time: Option<i64>,
    on: &mut Connection<'_>,
) -> Result<Job, Failure> {
    const COUNT: &str = concat!(
        "UPDATE import_jobs
        SET total_rows = total_rows + $2, created_rows = created_rows + $3, updated_rows = updated_rows + $4,
            unchanged_rows = unchanged_rows + $5, refused_rows = refused_rows + $6, staged_rows = staged_rows + $7,
            undone_products = undone_products + $8, conflicts = conflicts + $9, state = $10, end_time = $11
        WHERE id = $1
        RETURNING ",
        columns!()
    );

    let row: JobRow = on_either!(on, |c| {
        let count = sqlx::query_as(COUNT).bind(id).bind(added.rows).bind(added.created).bind(added.updated);
        let count = count.bind(added.unchanged).bind(added.refused).bind(added.staged);
        let count = count.bind(added.undone).bind(added.conflicts).bind(state.code());
        count.bind(end_time).fetch_one(c).await?
    });
    Ok(row.into())
}
