//! The statements that take back what an import did.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder};

use crate::error::Error;
use crate::import::{Job, State};
use crate::ledger::{Ledger, Undone};
use crate::product::Product;
use crate::store::books;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::begin::{answer, answered};
use crate::store::imports::marks::{Added, advance, count, find};
use crate::store::imports::{JobRow, Lease, columns};
use crate::store::requests::RequestKey;
use crate::store::rows::{ProductRow, slices};
use crate::version::{Author, Kind};

/// Begins to take back what an import did, once for its request.
pub(in crate::store) struct BeginUndo<'a> {
    pub(in crate::store) id: i64,
    pub(in crate::store) key: Option<&'a RequestKey>,
    pub(in crate::store) author: &'a Author,
    pub(in crate::store) now: Timestamp,
}

impl Work for BeginUndo<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        const BEGIN: &str = concat!(
            "UPDATE import_jobs
            SET state = $2, mark = $5, undone_products = 0, conflicts = 0, actor = $6, call_id = $7,
                worker = '', lease_expiry = 0, end_time = NULL
            WHERE id = $1 AND state IN ($3, $4)
            RETURNING ",
            columns!()
        );

        // With the catalogue nobody forgets changes meanwhile.
        books::open(self.now, on).await?;
        if let Some(job) = answered(self.key, self.now, on).await? {
            return Ok(job);
        }
        let job = find(self.id, on).await?;
        if matches!(job.state, State::Done | State::Cancelled) {
            refuse_forgotten(&job, on).await?;
        }
        let row: Option<JobRow> = on_either!(on, |c| {
            let begin = sqlx::query_as(BEGIN).bind(self.id).bind(State::Undoing.code());
            let begin = begin.bind(State::Done.code()).bind(State::Cancelled.code()).bind(i64::MAX);
            begin.bind(&self.author.name).bind(&self.author.call_id).fetch_optional(c).await?
        });
        let row = row.ok_or(Error::ImportState { id: self.id, state: job.state })?;
        answer(self.key, row.into(), on).await
    }
}

/// What is taken back is found by its changes: all of them must be kept.
async fn refuse_forgotten(job: &Job, on: &mut Connection<'_>) -> Result<(), Failure> {
    const FIRST: &str = "SELECT (SELECT MIN(first_sequence) FROM import_pieces WHERE job_id = $1),
        (SELECT MIN(sequence) FROM product_changes)";

    let (first, kept): (Option<i64>, Option<i64>) =
        on_either!(on, |c| sqlx::query_as(FIRST).bind(job.id).fetch_one(c).await?);
    let known = match (first, kept) {
        (Some(first), Some(kept)) => kept <= first,
        (Some(_), None) => false,
        // An import that is older than the pieces did something, too.
        (None, _) => job.counts.created + job.counts.updated == 0,
    };
    if known { Ok(()) } else { Err(Error::ImportForgotten { id: job.id }.into()) }
}

/// Takes back the last piece that is not taken back yet, and moves the mark.
pub(in crate::store) struct UndoPiece<'a> {
    pub(in crate::store) job: &'a Job,
    pub(in crate::store) lease: Lease<'a>,
    pub(in crate::store) now: Timestamp,
}

#[derive(FromRow)]
struct Made {
    product_id: i64,
    version: i64,
}

impl Work for UndoPiece<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        let Self { job, lease, now } = self;
        let mut ledger = books::open(*now, on).await?;
        let Some((first, last)) = self.next_piece(on).await? else {
            advance(job, job.mark, lease, on).await?;
            return count(job.id, Added::default(), State::Undone, Some(now.as_microsecond()), on).await;
        };
        advance(job, first, lease, on).await?;
        let made = self.made(first, last, on).await?;
        load(&mut ledger, &made, (first, last), on).await?;
        let (mut added, mut conflicts) = (Added::default(), Vec::new());
        for made in &made {
            match ledger.undo(made.product_id, made.version, &job.author) {
                Undone::TakenBack => added.undone += 1,
                Undone::Gone => {}
                Undone::Conflict => conflicts.push(made),
            }
        }
        books::close(ledger, *now, on).await?;
        added.conflicts = insert_conflicts(job.id, &conflicts, on).await?;
        count(job.id, added, State::Undoing, None, on).await
    }
}

impl UndoPiece<'_> {
    async fn next_piece(&self, on: &mut Connection<'_>) -> Result<Option<(i64, i64)>, Failure> {
        const NEXT: &str = "SELECT first_sequence, last_sequence
            FROM import_pieces
            WHERE job_id = $1 AND first_sequence < $2
            ORDER BY first_sequence DESC
            LIMIT 1";

        Ok(on_either!(on, |c| sqlx::query_as(NEXT).bind(self.job.id).bind(self.job.mark).fetch_optional(c).await?))
    }

    /// What the piece made, the last first.
    async fn made(&self, first: i64, last: i64, on: &mut Connection<'_>) -> Result<Vec<Made>, Failure> {
        const MADE: &str = "SELECT product_id, version
            FROM product_changes
            WHERE sequence >= $1 AND sequence <= $2 AND change_kind = $3
            ORDER BY sequence DESC";

        Ok(on_either!(on, |c| {
            sqlx::query_as(MADE).bind(first).bind(last).bind(Kind::Imported.code()).fetch_all(c).await?
        }))
    }
}

/// Loads the products that a piece made something of, what they were before, and what it
/// made of them where that is no longer what they are.
async fn load(
    ledger: &mut Ledger,
    made: &[Made],
    (first, last): (i64, i64),
    on: &mut Connection<'_>,
) -> Result<(), Failure> {
    const BEFORE: &str =
        "SELECT v.product_id AS id, v.name, v.category, v.sku, v.version, v.create_time, v.update_time,
            v.delete_time
        FROM product_changes c
        JOIN product_versions v ON v.product_id = c.product_id AND v.version IN (c.version - 1, c.version)
        WHERE c.sequence >= $1 AND c.sequence <= $2";

    let ids: Vec<i64> = made.iter().map(|made| made.product_id).collect();
    for present in books::by_id(&ids, on).await? {
        ledger.load(present);
    }
    let before: Vec<ProductRow> =
        on_either!(on, |c| sqlx::query_as(BEFORE).bind(first).bind(last).fetch_all(c).await?);
    let before: Vec<Product> = before.into_iter().map(Product::from).collect();
    let keys: Vec<String> = before.iter().map(|product| crate::text::fold(&product.sku)).collect();
    before.into_iter().for_each(|product| ledger.load_earlier(product));
    books::load_holders(ledger, &keys, on).await
}

async fn insert_conflicts(job_id: i64, conflicts: &[&Made], on: &mut Connection<'_>) -> Result<i64, Failure> {
    let mut inserted = 0;
    for slice in slices(conflicts) {
        inserted += on_either!(on, |c| {
            let mut sql = QueryBuilder::new("INSERT INTO import_conflicts (job_id, product_id, version) ");
            sql.push_values(slice, |mut values, made| {
                values.push_bind(job_id).push_bind(made.product_id).push_bind(made.version);
            });
            sql.push(" ON CONFLICT (job_id, product_id) DO NOTHING");
            sql.build().execute(c).await?.rows_affected()
        });
    }
    Ok(inserted as i64)
}
