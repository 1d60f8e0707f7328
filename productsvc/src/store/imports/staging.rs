//! The statements of dry runs: rows that are judged and kept, and what they would change.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder};

use crate::error::Error;
use crate::import::{GoodRow, Job, Piece, Preview, State};
use crate::ledger::{Clock, Ledger, Row};
use crate::product::Draft;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::Lease;
use crate::store::imports::begin::refuse_used_catalogue;
use crate::store::imports::marks::{advance, count, find};
use crate::store::imports::pieces::{Tally, insert_refused, load};
use crate::store::rows::slices;
use crate::version::Author;

/// What a row would do, in the database's words.
fn verdict(row: &Row) -> i64 {
    match row {
        Row::Created | Row::Updated => 1,
        Row::Unchanged => 2,
        Row::Taken { .. } | Row::Missing | Row::Damaged { .. } => 3,
    }
}

/// Judges a piece of a dry run and keeps it, and moves its mark. Others write meanwhile.
pub(in crate::store) struct Stage<'a> {
    pub(in crate::store) job: &'a Job,
    pub(in crate::store) piece: &'a Piece,
    pub(in crate::store) end: bool,
    pub(in crate::store) now: Timestamp,
}

impl Work for Stage<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        let Self { job, piece, end, now } = *self;
        advance(job, piece.last_line.max(job.mark), &Lease::NONE, on).await?;
        if job.only_if_new && job.mark == 0 {
            refuse_used_catalogue(on).await?;
        }
        let ledger = books(&piece.good, job, now, on).await?;
        let mut tally = Tally::default();
        let mut judged = Vec::with_capacity(piece.good.len());
        for row in &piece.good {
            // Each SKU stands in an import once: no row changes what another one is about.
            let row_verdict = ledger.judge(&row.draft, job.manner, &Author::default());
            tally.add(row, &row_verdict);
            judged.push((row, verdict(&row_verdict)));
        }
        let Tally { mut added, mut refused } = tally;
        refused.extend(piece.refused.iter().cloned());
        insert_rows(job.id, &judged, on).await?;
        insert_refused(job.id, &refused, on).await?;
        added.rows = piece.len() as i64;
        added.refused = refused.len() as i64;
        added.staged = judged.len() as i64;
        count(job.id, added, if end { State::Ready } else { State::Staging }, None, on).await
    }
}

/// What is known of the products that rows are about, only to judge by it.
async fn books(rows: &[GoodRow], job: &Job, now: Timestamp, on: &mut Connection<'_>) -> Result<Ledger, Failure> {
    let mut ledger = Ledger::new(Clock::default(), now);
    load(&mut ledger, rows, job.manner, on).await?;
    Ok(ledger)
}

async fn insert_rows(job_id: i64, judged: &[(&GoodRow, i64)], on: &mut Connection<'_>) -> Result<(), Failure> {
    for slice in slices(judged) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new("INSERT INTO import_rows (job_id, line, name, category, sku, verdict) ");
            sql.push_values(slice, |mut values, (GoodRow { line, draft }, verdict)| {
                values.push_bind(job_id).push_bind(*line).push_bind(draft.name.as_str());
                values.push_bind(draft.category.as_str()).push_bind(draft.sku.as_str()).push_bind(*verdict);
            });
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}

#[derive(FromRow)]
pub(super) struct StagedRow {
    line: i64,
    name: String,
    category: String,
    sku: String,
}

impl TryFrom<StagedRow> for GoodRow {
    type Error = Failure;

    fn try_from(row: StagedRow) -> Result<Self, Failure> {
        let draft = Draft::parse(&row.name, &row.category, &row.sku);
        let draft = draft.map_err(|faults| Error::Internal(Error::Invalid(faults).to_string()))?;
        Ok(Self { line: row.line, draft })
    }
}

/// What rows of a dry run behind a line would change by now.
pub(in crate::store) struct FindPreviews {
    pub(in crate::store) id: i64,
    pub(in crate::store) after: i64,
    pub(in crate::store) limit: usize,
    /// Also those that changed nothing when they came.
    pub(in crate::store) show_unchanged: bool,
    pub(in crate::store) now: Timestamp,
}

impl Work for FindPreviews {
    type Answer = Vec<Preview>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Preview>, Failure> {
        // `verdict = 1` is what the index is of.
        const CHANGING: &str = "SELECT line, name, category, sku
            FROM import_rows
            WHERE job_id = $1 AND line > $2 AND verdict = 1
            ORDER BY line
            LIMIT $3";
        const ALL: &str = "SELECT line, name, category, sku
            FROM import_rows
            WHERE job_id = $1 AND line > $2 AND verdict <> 3
            ORDER BY line
            LIMIT $3";

        let job = find(self.id, on).await?;
        if job.state != State::Ready {
            return Err(Error::ImportState { id: self.id, state: job.state }.into());
        }
        let sql = if self.show_unchanged { ALL } else { CHANGING };
        let rows: Vec<StagedRow> = on_either!(on, |c| {
            sqlx::query_as(sql).bind(self.id).bind(self.after).bind(self.limit as i64).fetch_all(c).await?
        });
        let rows = rows.into_iter().map(GoodRow::try_from).collect::<Result<Vec<_>, _>>()?;
        let ledger = books(&rows, &job, self.now, on).await?;
        let preview = |row: GoodRow| {
            let verdict = ledger.judge(&row.draft, job.manner, &Author::default());
            let before = ledger.holder(row.draft.sku.key()).map(|present| present.product.clone());
            Preview { line: row.line, verdict, before, draft: row.draft }
        };
        Ok(rows.into_iter().map(preview).collect())
    }
}
