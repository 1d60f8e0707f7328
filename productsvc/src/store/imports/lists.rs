//! What is read of imports: jobs, refused rows, and what an undoing left alone.

use sqlx::FromRow;

use crate::error::Error;
use crate::import::{Conflict, Job, Reason, Refused, Row};
use crate::product::Product;
use crate::store::books;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::marks::find;
use crate::store::imports::{JobRow, columns};

/// What names an import.
#[derive(Debug, Clone)]
pub(in crate::store) enum Which<'a> {
    Id(i64),
    /// The request that it began with.
    Request(&'a str),
}

/// How an import went.
pub(in crate::store) struct FindJob<'a> {
    pub(in crate::store) which: Which<'a>,
}

impl Work for FindJob<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        // A request id may begin another import once it is forgotten.
        const BY_REQUEST: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM import_jobs WHERE request_id = $1 AND request_id <> '' ORDER BY id DESC LIMIT 1"
        );

        match &self.which {
            Which::Id(id) => find(*id, on).await,
            Which::Request(request_id) => {
                let row: Option<JobRow> =
                    on_either!(on, |c| sqlx::query_as(BY_REQUEST).bind(request_id).fetch_optional(c).await?);
                Ok(row.map(Job::from).ok_or(Error::ImportOfRequestNotFound)?)
            }
        }
    }
}

/// Imports before one, the newest first.
pub(in crate::store) struct FindJobs {
    pub(in crate::store) before: i64,
    pub(in crate::store) limit: usize,
}

impl Work for FindJobs {
    type Answer = Vec<Job>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Job>, Failure> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM import_jobs WHERE id < $1 ORDER BY id DESC LIMIT $2");

        let rows: Vec<JobRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.before).bind(self.limit as i64).fetch_all(c).await?);
        Ok(rows.into_iter().map(Job::from).collect())
    }
}

#[derive(FromRow)]
struct RefusedRow {
    line: i64,
    name: String,
    category: String,
    sku: String,
    is_cut: i64,
    field: String,
    reason: String,
    message: String,
}

/// The refused rows of an import behind a line.
pub(in crate::store) struct FindRefused {
    pub(in crate::store) id: i64,
    pub(in crate::store) after: i64,
    pub(in crate::store) limit: usize,
}

impl Work for FindRefused {
    type Answer = Vec<Refused>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Refused>, Failure> {
        const FIND: &str = "SELECT line, name, category, sku, is_cut, field, reason, message
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
            let RefusedRow { line, name, category, sku, is_cut, field, message, .. } = row;
            Ok(Refused { row: Row { line, name, category, sku }, is_cut: is_cut != 0, field, reason, message })
        };
        rows.into_iter().map(refused).collect()
    }
}

/// What an undoing left alone, behind a product.
pub(in crate::store) struct FindConflicts {
    pub(in crate::store) id: i64,
    pub(in crate::store) after: i64,
    pub(in crate::store) limit: usize,
}

impl Work for FindConflicts {
    type Answer = Vec<Conflict>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Conflict>, Failure> {
        const FIND: &str = "SELECT product_id, version
            FROM import_conflicts
            WHERE job_id = $1 AND product_id > $2
            ORDER BY product_id
            LIMIT $3";

        let rows: Vec<(i64, i64)> = on_either!(on, |c| {
            let find = sqlx::query_as(FIND).bind(self.id).bind(self.after).bind(self.limit as i64);
            find.fetch_all(c).await?
        });
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        let mut products: std::collections::HashMap<i64, Product> =
            books::by_id(&ids, on).await?.into_iter().map(|present| (present.product.id, present.product)).collect();
        let conflict = |(product_id, version)| Conflict { product_id, version, product: products.remove(&product_id) };
        Ok(rows.into_iter().map(conflict).collect())
    }
}
