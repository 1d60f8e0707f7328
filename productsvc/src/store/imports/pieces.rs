//! The statements that store a piece of an import.
//!
//! A piece of some hundred rows is one transaction of a few statements, whatever
//! its rows are. The job's mark moves in it, from where the stream found it: this
//! is what makes an import store each row once, however often it breaks off, and
//! what tells a second stream of the same import that it is second.

use jiff::Timestamp;
use sqlx::QueryBuilder;

use crate::error::Error;
use crate::import::{Job, Piece, Reason, Refused};
use crate::ledger::{Ledger, Row};
use crate::store::Rules;
use crate::store::books;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::{JobRow, columns, refuse_used_catalogue};

/// Stores a piece of an import, and moves its mark.
pub(in crate::store) struct Store<'a> {
    pub(in crate::store) job: &'a Job,
    pub(in crate::store) piece: &'a Piece,
    pub(in crate::store) rules: &'a Rules,
    pub(in crate::store) now: Timestamp,
}

/// What became of the rows of a piece.
#[derive(Default)]
struct Outcome {
    created: i64,
    updated: i64,
    unchanged: i64,
    refused: Vec<Refused>,
}

impl Work for Store<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        let mut ledger = books::open(self.now, on).await?;
        self.move_mark(on).await?;
        if self.rules.only_if_new && self.job.mark == 0 {
            refuse_used_catalogue(on).await?;
        }
        let keys: Vec<String> = self.piece.good.iter().map(|row| row.draft.sku.key().to_owned()).collect();
        books::load_holders(&mut ledger, &keys, on).await?;
        let outcome = self.take(&mut ledger);
        books::close(ledger, self.now, on).await?;
        insert_refused(self.job.id, &outcome.refused, on).await?;
        self.count(&outcome, on).await
    }
}

impl Store<'_> {
    /// Takes the job if it is still where we left it.
    async fn move_mark(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const MOVE: &str = "UPDATE import_jobs SET mark = $3 WHERE id = $1 AND mark = $2 AND end_time IS NULL";

        let mark = self.piece.last_line.max(self.job.mark);
        let moved = on_either!(on, |c| {
            let moving = sqlx::query(MOVE).bind(self.job.id).bind(self.job.mark).bind(mark);
            moving.execute(c).await?.rows_affected()
        });
        if moved == 1 { Ok(()) } else { Err(Error::ImportRunning.into()) }
    }

    fn take(&self, ledger: &mut Ledger) -> Outcome {
        let mut outcome = Outcome::default();
        for row in &self.piece.good {
            match ledger.take_row(&row.draft, self.rules.mode, &self.rules.author) {
                Row::Created => outcome.created += 1,
                Row::Updated => outcome.updated += 1,
                Row::Unchanged => outcome.unchanged += 1,
                Row::Taken { product_id } => {
                    let message = format!("product {product_id} has this SKU");
                    outcome.refused.push(row.refused(Reason::SkuTaken, message));
                }
            }
        }
        outcome.refused.extend(self.piece.refused.iter().cloned());
        outcome
    }

    async fn count(&self, outcome: &Outcome, on: &mut Connection<'_>) -> Result<Job, Failure> {
        const COUNT: &str = concat!(
            "UPDATE import_jobs
            SET total_rows = total_rows + $2, created_rows = created_rows + $3, updated_rows = updated_rows + $4,
                unchanged_rows = unchanged_rows + $5, refused_rows = refused_rows + $6, end_time = $7
            WHERE id = $1
            RETURNING ",
            columns!()
        );

        let end_time = self.rules.end.then(|| self.now.as_microsecond());
        let row: JobRow = on_either!(on, |c| {
            let count = sqlx::query_as(COUNT).bind(self.job.id).bind(self.piece.len() as i64);
            let count = count.bind(outcome.created).bind(outcome.updated).bind(outcome.unchanged);
            count.bind(outcome.refused.len() as i64).bind(end_time).fetch_one(c).await?
        });
        Ok(row.into())
    }
}

async fn insert_refused(job_id: i64, refused: &[Refused], on: &mut Connection<'_>) -> Result<(), Failure> {
    if refused.is_empty() {
        return Ok(());
    }
    on_either!(on, |c| {
        let mut sql = QueryBuilder::new(
            "INSERT INTO import_refusals (job_id, line, name, category, sku, field, reason, message) ",
        );
        sql.push_values(refused, |mut values, Refused { row, field, reason, message }| {
            values
                .push_bind(job_id)
                .push_bind(row.line)
                .push_bind(&row.name)
                .push_bind(&row.category)
                .push_bind(&row.sku);
            values.push_bind(field).push_bind(reason.as_str()).push_bind(message);
        });
        sql.build().execute(c).await?;
    });
    Ok(())
}
