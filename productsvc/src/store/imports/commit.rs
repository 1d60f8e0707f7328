//! The statements that apply a dry run.

use jiff::Timestamp;

use crate::error::Error;
use crate::import::{GoodRow, Job, PIECE, State};
use crate::store::books;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::begin::{answer, answered, refuse_used_catalogue};
use crate::store::imports::marks::{advance, count, find};
use crate::store::imports::pieces::{close, insert_refused, load, take};
use crate::store::imports::staging::StagedRow;
use crate::store::imports::{JobRow, Lease, columns};
use crate::store::requests::RequestKey;
use crate::version::Author;

/// Begins to apply a dry run that is ready, once for its request.
pub(in crate::store) struct BeginCommit<'a> {
    pub(in crate::store) id: i64,
    pub(in crate::store) key: Option<&'a RequestKey>,
    pub(in crate::store) author: &'a Author,
    pub(in crate::store) now: Timestamp,
}

impl Work for BeginCommit<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        // What was refused for itself stays refused; all else is counted anew.
        const BEGIN: &str = concat!(
            "UPDATE import_jobs
            SET state = $2, mark = 0, created_rows = 0, updated_rows = 0, unchanged_rows = 0,
                refused_rows = total_rows - staged_rows, actor = $4, call_id = $5, worker = '', lease_expiry = 0
            WHERE id = $1 AND state = $3
            RETURNING ",
            columns!()
        );

        // As every piece does: the catalogue first, then the job.
        books::open(self.now, on).await?;
        if let Some(job) = answered(self.key, self.now, on).await? {
            return Ok(job);
        }
        let job = find(self.id, on).await?;
        if job.state == State::Ready && job.only_if_new {
            refuse_used_catalogue(on).await?;
        }
        let author = Job::author_of(&job.source, self.author);
        let row: Option<JobRow> = on_either!(on, |c| {
            let begin = sqlx::query_as(BEGIN).bind(self.id).bind(State::Committing.code()).bind(State::Ready.code());
            begin.bind(&author.name).bind(&author.call_id).fetch_optional(c).await?
        });
        let row = row.ok_or(Error::ImportState { id: self.id, state: job.state })?;
        answer(self.key, row.into(), on).await
    }
}

/// Applies the next rows of a dry run, and moves its mark.
pub(in crate::store) struct CommitPiece<'a> {
    pub(in crate::store) job: &'a Job,
    pub(in crate::store) lease: Lease<'a>,
    pub(in crate::store) now: Timestamp,
}

impl Work for CommitPiece<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        let Self { job, lease, now } = self;
        let mut ledger = books::open(*now, on).await?;
        let rows = self.next_rows(on).await?;
        let mark = rows.last().map_or(job.mark, |row| row.line);
        advance(job, mark, lease, on).await?;
        load(&mut ledger, &rows, job.manner, on).await?;
        let (added, refused) = take(&mut ledger, &rows, job.manner, &job.author);
        close(job.id, ledger, *now, on).await?;
        self.forget_rows(mark, on).await?;
        insert_refused(job.id, &refused, on).await?;
        match rows.len() < PIECE {
            true => count(job.id, added, State::Done, Some(now.as_microsecond()), on).await,
            false => count(job.id, added, State::Committing, None, on).await,
        }
    }
}

impl CommitPiece<'_> {
    async fn next_rows(&self, on: &mut Connection<'_>) -> Result<Vec<GoodRow>, Failure> {
        const NEXT: &str = "SELECT line, name, category, sku
            FROM import_rows
            WHERE job_id = $1 AND line > $2
            ORDER BY line
            LIMIT $3";

        let rows: Vec<StagedRow> = on_either!(on, |c| {
            sqlx::query_as(NEXT).bind(self.job.id).bind(self.job.mark).bind(PIECE as i64).fetch_all(c).await?
        });
        rows.into_iter().map(GoodRow::try_from).collect()
    }

    /// Forgets the rows of this piece, and why they were refused when they came.
    async fn forget_rows(&self, mark: i64, on: &mut Connection<'_>) -> Result<(), Failure> {
        const FORGET_REFUSALS: &str = "DELETE FROM import_refusals
            WHERE job_id = $1 AND line > $2 AND line <= $3
                AND line IN (SELECT line FROM import_rows WHERE job_id = $1 AND line > $2 AND line <= $3)";
        const FORGET_ROWS: &str = "DELETE FROM import_rows WHERE job_id = $1 AND line > $2 AND line <= $3";

        for forget in [FORGET_REFUSALS, FORGET_ROWS] {
            on_either!(on, |c| {
                sqlx::query(forget).bind(self.job.id).bind(self.job.mark).bind(mark).execute(c).await?;
            });
        }
        Ok(())
    }
}
