//! Who works on a job in the background, and until when that is believed.
//!
//! A lease only saves work: that nothing is done twice is up to the mark.

use jiff::Timestamp;

use crate::import::{Job, State};
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::{JobRow, columns};

/// A worker, and until when others leave its jobs to it.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Lease<'a> {
    pub(in crate::store) worker: &'a str,
    pub(in crate::store) expiry: Timestamp,
}

impl Lease<'_> {
    /// That of a job whose rows come in, which nobody works on in the background.
    pub(super) const NONE: Self = Self { worker: "", expiry: Timestamp::UNIX_EPOCH };
}

/// The oldest job that is to be worked on and that nobody works on.
pub(in crate::store) struct FindWork {
    pub(in crate::store) now: Timestamp,
}

impl Work for FindWork {
    type Answer = Option<i64>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<i64>, Failure> {
        const FIND: &str = "SELECT id
            FROM import_jobs
            WHERE state IN ($1, $2) AND lease_expiry < $3
            ORDER BY id
            LIMIT 1";

        Ok(on_either!(on, |c| {
            let find = sqlx::query_scalar(FIND).bind(State::Committing.code()).bind(State::Undoing.code());
            find.bind(self.now.as_microsecond()).fetch_optional(c).await?
        }))
    }
}

/// Takes a job, unless another worker was faster.
pub(in crate::store) struct Claim<'a> {
    pub(in crate::store) id: i64,
    pub(in crate::store) lease: Lease<'a>,
    pub(in crate::store) now: Timestamp,
}

impl Work for Claim<'_> {
    type Answer = Option<Job>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Job>, Failure> {
        const CLAIM: &str = concat!(
            "UPDATE import_jobs
            SET worker = $5, lease_expiry = $6
            WHERE id = $1 AND state IN ($2, $3) AND lease_expiry < $4
            RETURNING ",
            columns!()
        );

        let row: Option<JobRow> = on_either!(on, |c| {
            let claim = sqlx::query_as(CLAIM).bind(self.id).bind(State::Committing.code()).bind(State::Undoing.code());
            let claim = claim.bind(self.now.as_microsecond()).bind(self.lease.worker);
            claim.bind(self.lease.expiry.as_microsecond()).fetch_optional(c).await?
        });
        Ok(row.map(Job::from))
    }
}

/// Gives up the jobs of a worker that stops, so that others need not wait.
pub(in crate::store) struct Release<'a> {
    pub(in crate::store) worker: &'a str,
}

impl Work for Release<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const RELEASE: &str = "UPDATE import_jobs SET lease_expiry = 0 WHERE worker = $1 AND state IN ($2, $3)";

        on_either!(on, |c| {
            let release = sqlx::query(RELEASE).bind(self.worker);
            release.bind(State::Committing.code()).bind(State::Undoing.code()).execute(c).await?;
        });
        Ok(())
    }
}
