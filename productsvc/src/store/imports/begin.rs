//! How an import begins, or goes on.

use jiff::Timestamp;

use crate::error::Error;
use crate::import::{Job, Manner, State};
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::marks::find;
use crate::store::imports::{JobRow, columns};
use crate::store::requests::{Claim, RequestKey, claim, record};

/// What an import begins with.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Names it, so that it can go on after it broke off.
    pub key: Option<RequestKey>,
    /// Where the rows come from, for people.
    pub source: String,
    /// How its rows become changes.
    pub manner: Manner,
    /// Whether its rows are only judged.
    pub dry_run: bool,
    /// Whether the catalogue must never have held a product.
    pub only_if_new: bool,
    /// Whether it goes on after it was cancelled.
    pub resume_cancelled: bool,
}

/// Begins an import, or finds the one that the same request began.
pub(in crate::store) struct Begin<'a> {
    pub(in crate::store) beginning: &'a Beginning,
    pub(in crate::store) now: Timestamp,
}

impl Work for Begin<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        let key = self.beginning.key.as_ref();
        if let Some(job) = answered(key, self.now, on).await? {
            return match self.beginning.resume_cancelled {
                true => self.resume(job, on).await,
                false => Ok(job),
            };
        }
        if self.beginning.only_if_new {
            refuse_used_catalogue(on).await?;
        }
        let job = self.insert(on).await?;
        answer(key, job, on).await
    }
}

impl Begin<'_> {
    async fn insert(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        const BEGIN: &str = concat!(
            "INSERT INTO import_jobs
                (state, source, request_id, import_mode, allow_damaged, dry_run, only_if_new, mark,
                total_rows, created_rows, updated_rows, unchanged_rows, refused_rows, create_time)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, 0, 0, $8)
            RETURNING ",
            columns!()
        );

        let Beginning { key, source, manner, dry_run, only_if_new, .. } = self.beginning;
        let state = if *dry_run { State::Staging } else { State::Receiving };
        let request_id = key.as_ref().map(|key| key.id().to_string()).unwrap_or_default();
        let row: JobRow = on_either!(on, |c| {
            let begin = sqlx::query_as(BEGIN).bind(state.code()).bind(source).bind(request_id);
            let begin = begin.bind(manner.mode.code()).bind(i64::from(manner.allow_damaged));
            let begin = begin.bind(i64::from(*dry_run)).bind(i64::from(*only_if_new));
            begin.bind(self.now.as_microsecond()).fetch_one(c).await?
        });
        Ok(row.into())
    }

    /// Opens an import again that was cancelled while its rows came.
    async fn resume(&self, job: Job, on: &mut Connection<'_>) -> Result<Job, Failure> {
        const RESUME: &str = concat!(
            "UPDATE import_jobs SET state = $2, end_time = NULL WHERE id = $1 AND state = $3 AND dry_run = 0 RETURNING ",
            columns!()
        );

        let row: Option<JobRow> = on_either!(on, |c| {
            let resume = sqlx::query_as(RESUME).bind(job.id).bind(State::Receiving.code());
            resume.bind(State::Cancelled.code()).fetch_optional(c).await?
        });
        Ok(row.map_or(job, Job::from))
    }
}

/// The job that a request was answered before, as it is now.
pub(super) async fn answered(
    key: Option<&RequestKey>,
    now: Timestamp,
    on: &mut Connection<'_>,
) -> Result<Option<Job>, Failure> {
    let Some(key) = key else { return Ok(None) };
    let Claim::Answered(response) = claim(key, now, on).await? else { return Ok(None) };
    let id = <[u8; 8]>::try_from(response.as_slice()).map(i64::from_be_bytes);
    let id = id.map_err(|_| Error::Internal("the answer of an import is no job id".to_owned()))?;
    find(id, on).await.map(Some)
}

/// Answers a request with a job, also when it comes again.
pub(super) async fn answer(key: Option<&RequestKey>, job: Job, on: &mut Connection<'_>) -> Result<Job, Failure> {
    if let Some(key) = key {
        record(key, job.id.to_be_bytes().to_vec(), on).await?;
    }
    Ok(job)
}

pub(super) async fn refuse_used_catalogue(on: &mut Connection<'_>) -> Result<(), Failure> {
    // Deleted products count: their rows are kept.
    const ANY: &str = "SELECT id FROM products LIMIT 1";

    let any: Option<i64> = on_either!(on, |c| sqlx::query_scalar(ANY).fetch_optional(c).await?);
    match any {
        Some(_) => Err(Error::CatalogueNotNew.into()),
        None => Ok(()),
    }
}
