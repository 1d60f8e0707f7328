//! The statements that stop imports, and forget what nobody will ask for.

use jiff::Timestamp;

use crate::error::Error;
use crate::import::{Job, State};
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::marks::find;
use crate::store::imports::{JobRow, columns};

/// Rows of dry runs that are forgotten in one transaction: others want to write too.
const AT_ONCE: i64 = 2000;

/// What a job says once it is cancelled: of a dry run nothing is in.
macro_rules! cancelled {
    () => {
        "state = 6, worker = '', lease_expiry = 0,
        created_rows = CASE WHEN state IN (2, 3) THEN 0 ELSE created_rows END,
        updated_rows = CASE WHEN state IN (2, 3) THEN 0 ELSE updated_rows END,
        unchanged_rows = CASE WHEN state IN (2, 3) THEN 0 ELSE unchanged_rows END"
    };
}

/// Stops an import between two pieces.
pub(in crate::store) struct Cancel {
    pub(in crate::store) id: i64,
    pub(in crate::store) now: Timestamp,
}

impl Work for Cancel {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        const CANCEL: &str = concat!(
            "UPDATE import_jobs SET ",
            cancelled!(),
            ", end_time = $2 WHERE id = $1 AND state IN (1, 2, 3, 4) RETURNING ",
            columns!()
        );

        let row: Option<JobRow> = on_either!(on, |c| {
            sqlx::query_as(CANCEL).bind(self.id).bind(self.now.as_microsecond()).fetch_optional(c).await?
        });
        match row {
            Some(row) => Ok(row.into()),
            None => match find(self.id, on).await? {
                job if job.state == State::Cancelled => Ok(job),
                job => Err(Error::ImportState { id: job.id, state: job.state }.into()),
            },
        }
    }
}

/// Cancels imports that began long ago and that nobody went on with.
pub(in crate::store) struct Expire {
    pub(in crate::store) before: Timestamp,
    pub(in crate::store) now: Timestamp,
}

impl Work for Expire {
    type Answer = u64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<u64, Failure> {
        const EXPIRE: &str = concat!(
            "UPDATE import_jobs SET ",
            cancelled!(),
            ", end_time = $2 WHERE state IN (1, 2, 3) AND create_time < $1"
        );

        Ok(on_either!(on, |c| {
            let expire = sqlx::query(EXPIRE).bind(self.before.as_microsecond()).bind(self.now.as_microsecond());
            expire.execute(c).await?.rows_affected()
        }))
    }
}

/// Forgets some rows of a dry run that was cancelled.
pub(in crate::store) struct ForgetStaged;

impl Work for ForgetStaged {
    type Answer = u64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<u64, Failure> {
        const FIND: &str =
            "SELECT id FROM import_jobs WHERE state IN (6, 7, 8) AND staged_rows > 0 ORDER BY id LIMIT 1";
        const FORGET: &str = "DELETE FROM import_rows
            WHERE job_id = $1
                AND line IN (SELECT line FROM import_rows WHERE job_id = $1 ORDER BY line LIMIT $2)";
        const FORGOTTEN: &str = "UPDATE import_jobs SET staged_rows = 0 WHERE id = $1";

        let id: Option<i64> = on_either!(on, |c| sqlx::query_scalar(FIND).fetch_optional(c).await?);
        let Some(id) = id else { return Ok(0) };
        let forgotten =
            on_either!(on, |c| sqlx::query(FORGET).bind(id).bind(AT_ONCE).execute(c).await?.rows_affected());
        if forgotten == 0 {
            on_either!(on, |c| {
                sqlx::query(FORGOTTEN).bind(id).execute(c).await?;
            });
        }
        // The look that found nothing more to forget found a job.
        Ok(forgotten.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_these_statements_are_what_they_are_taken_for() {
        let codes = |states: &[State]| states.iter().map(|state| state.code()).collect::<Vec<_>>();

        assert_eq!(codes(&[State::Receiving, State::Staging, State::Ready, State::Committing]), [1, 2, 3, 4]);
        assert_eq!(codes(&[State::Cancelled, State::Undoing, State::Undone]), [6, 7, 8]);
    }
}
