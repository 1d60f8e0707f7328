//! The statements of imports: jobs, and the rows they refused.

mod pieces;

use jiff::Timestamp;
use sqlx::FromRow;

use crate::error::Error;
use crate::import::{Counts, Job, Reason, Refused, Row};
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::from_micros;
use crate::store::requests::{Claim, RequestKey, claim, record};

pub(super) use crate::store::imports::pieces::Store;

macro_rules! columns {
    () => {
        "id, source, mark, total_rows, created_rows, updated_rows, unchanged_rows, refused_rows, create_time, end_time"
    };
}
use columns;

#[derive(FromRow)]
struct JobRow {
    id: i64,
    source: String,
    mark: i64,
    total_rows: i64,
    created_rows: i64,
    updated_rows: i64,
    unchanged_rows: i64,
    refused_rows: i64,
    create_time: i64,
    end_time: Option<i64>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let counts = Counts {
            rows: row.total_rows,
            created: row.created_rows,
            updated: row.updated_rows,
            unchanged: row.unchanged_rows,
            refused: row.refused_rows,
        };
        Self {
            id: row.id,
            source: row.source,
            mark: row.mark,
            counts,
            create_time: from_micros(row.create_time),
            end_time: row.end_time.map(from_micros),
        }
    }
}

/// What an import begins with.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Names it, so that it can go on after it broke off.
    pub key: Option<RequestKey>,
    /// Where the rows come from, for people.
    pub source: String,
    /// Whether the catalogue must never have held a product.
    pub only_if_new: bool,
}

/// Begins an import, or finds the one that the same request began.
pub(super) struct Begin<'a> {
    pub(super) beginning: &'a Beginning,
    pub(super) now: Timestamp,
}

impl Work for Begin<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        const BEGIN: &str = concat!(
            "INSERT INTO import_jobs
                (source, mark, total_rows, created_rows, updated_rows, unchanged_rows, refused_rows, create_time)
            VALUES ($1, 0, 0, 0, 0, 0, 0, $2)
            RETURNING ",
            columns!()
        );

        let key = self.beginning.key.as_ref();
        if let Some(key) = key
            && let Claim::Answered(response) = claim(key, self.now, on).await?
        {
            let id = <[u8; 8]>::try_from(response).map(i64::from_be_bytes);
            let id = id.map_err(|_| Error::Internal("the answer of an import is no job id".to_owned()))?;
            return FindJob { id }.run(on).await?.ok_or_else(|| Error::ImportNotFound { id }.into());
        }
        if self.beginning.only_if_new {
            refuse_used_catalogue(on).await?;
        }
        let row: JobRow = on_either!(on, |c| {
            let begin = sqlx::query_as(BEGIN).bind(&self.beginning.source).bind(self.now.as_microsecond());
            begin.fetch_one(c).await?
        });
        if let Some(key) = key {
            record(key, row.id.to_be_bytes().to_vec(), on).await?;
        }
        Ok(row.into())
    }
}

async fn refuse_used_catalogue(on: &mut Connection<'_>) -> Result<(), Failure> {
    // Deleted products count: their rows are kept.
    const ANY: &str = "SELECT id FROM products LIMIT 1";

    let any: Option<i64> = on_either!(on, |c| sqlx::query_scalar(ANY).fetch_optional(c).await?);
    match any {
        Some(_) => Err(Error::CatalogueNotNew.into()),
        None => Ok(()),
    }
}

/// How an import went.
pub(super) struct FindJob {
    pub(super) id: i64,
}

impl Work for FindJob {
    type Answer = Option<Job>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Job>, Failure> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM import_jobs WHERE id = $1");

        let row: Option<JobRow> = on_either!(on, |c| sqlx::query_as(FIND).bind(self.id).fetch_optional(c).await?);
        Ok(row.map(Job::from))
    }
}

#[derive(FromRow)]
struct RefusedRow {
    line: i64,
    name: String,
    category: String,
    sku: String,
    field: String,
    reason: String,
    message: String,
}

/// The refused rows of an import behind a line.
pub(super) struct FindRefused {
    pub(super) id: i64,
    pub(super) after: i64,
    pub(super) limit: usize,
}

impl Work for FindRefused {
    type Answer = Vec<Refused>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Refused>, Failure> {
        const FIND: &str = "SELECT line, name, category, sku, field, reason, message
            FROM import_refusals
            WHERE job_id = $1 AND line > $2
            ORDER BY line
            LIMIT $3";

        let rows: Vec<RefusedRow> = on_either!(on, |c| {
            let find = sqlx::query_as(FIND).bind(self.id).bind(self.after).bind(self.limit as i64);
            find.fetch_all(c).await?
        });
        let refused = |row: RefusedRow| {
            let reason =
                Reason::parse(&row.reason).ok_or_else(|| Error::Internal(format!("unknown reason {}", row.reason)))?;
            let RefusedRow { line, name, category, sku, field, message, .. } = row;
            Ok(Refused { row: Row { line, name, category, sku }, field, reason, message })
        };
        rows.into_iter().map(refused).collect()
    }
}
