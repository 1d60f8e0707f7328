//! The statements that store a piece of an import.
//!
//! A piece of some hundred rows is one transaction of a few statements, whatever its
//! rows are. Its changes follow each other, for it has the catalogue to itself: their
//! first and last sequence say all that it did.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::QueryBuilder;

use crate::import::{GoodRow, Job, Manner, Piece, Refused, State, damage};
use crate::ledger::{Ledger, Row};
use crate::store::Rules;
use crate::store::books;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::Lease;
use crate::store::imports::begin::refuse_used_catalogue;
use crate::store::imports::marks::{Added, advance, count};
use crate::store::rows::slices;
use crate::version::Author;

/// Stores a piece of an import, and moves its mark.
pub(in crate::store) struct Store<'a> {
    pub(in crate::store) job: &'a Job,
    pub(in crate::store) piece: &'a Piece,
    pub(in crate::store) rules: &'a Rules,
    pub(in crate::store) now: Timestamp,
}

impl Work for Store<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        let Self { job, piece, rules, now } = *self;
        let mut ledger = books::open(now, on).await?;
        advance(job, piece.last_line.max(job.mark), &Lease::NONE, on).await?;
        if job.only_if_new && job.mark == 0 {
            refuse_used_catalogue(on).await?;
        }
        load(&mut ledger, &piece.good, job.manner, on).await?;
        let (mut added, mut refused) = take(&mut ledger, &piece.good, job.manner, &rules.author);
        close(job.id, ledger, now, on).await?;
        refused.extend(piece.refused.iter().cloned());
        insert_refused(job.id, &refused, on).await?;
        added.rows = piece.len() as i64;
        added.refused = refused.len() as i64;
        match rules.end {
            true => count(job.id, added, State::Done, Some(now.as_microsecond()), on).await,
            false => count(job.id, added, State::Receiving, None, on).await,
        }
    }
}

/// Loads the products that rows are about: those that have their SKUs, and for SKUs that
/// none has those that may be meant.
pub(super) async fn load(
    ledger: &mut Ledger,
    rows: &[GoodRow],
    manner: Manner,
    on: &mut Connection<'_>,
) -> Result<(), Failure> {
    let keys: Vec<String> = rows.iter().map(|row| row.draft.sku.key().to_owned()).collect();
    books::load_holders(ledger, &keys, on).await?;
    if manner.allow_damaged {
        return Ok(());
    }
    let free = keys.iter().filter(|key| ledger.holder(key).is_none());
    let meant: BTreeSet<String> = free.flat_map(|key| damage::unstripped(key)).collect();
    books::load_holders(ledger, &meant.into_iter().collect::<Vec<_>>(), on).await
}

/// Takes rows, and answers what they add to the counts and which are refused.
pub(super) fn take(ledger: &mut Ledger, rows: &[GoodRow], manner: Manner, author: &Author) -> (Added, Vec<Refused>) {
    let mut tally = Tally::default();
    for row in rows {
        let verdict = ledger.take_row(&row.draft, manner, author);
        tally.add(row, &verdict);
    }
    (tally.added, tally.refused)
}

/// What becomes of rows, counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) added: Added,
    pub(super) refused: Vec<Refused>,
}

impl Tally {
    pub(super) fn add(&mut self, row: &GoodRow, verdict: &Row) {
        match verdict {
            Row::Created => self.added.created += 1,
            Row::Updated => self.added.updated += 1,
            Row::Unchanged => self.added.unchanged += 1,
            Row::Taken { .. } | Row::Missing | Row::Damaged { .. } => {}
        }
        if let Some((reason, message)) = verdict.refusal() {
            self.added.refused += 1;
            self.refused.push(row.refused(reason, message));
        }
    }
}

/// Stores what came of a piece's ledger, and where it can be found again.
pub(super) async fn close(job_id: i64, ledger: Ledger, now: Timestamp, on: &mut Connection<'_>) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO import_pieces (job_id, first_sequence, last_sequence) VALUES ($1, $2, $3)";

    let sequences = ledger.sequences();
    books::close(ledger, now, on).await?;
    if let Some((first, last)) = sequences {
        on_either!(on, |c| {
            sqlx::query(INSERT).bind(job_id).bind(first).bind(last).execute(c).await?;
        });
    }
    Ok(())
}

pub(super) async fn insert_refused(job_id: i64, refused: &[Refused], on: &mut Connection<'_>) -> Result<(), Failure> {
    for slice in slices(refused) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO import_refusals (job_id, line, name, category, sku, is_cut, field, reason, message) ",
            );
            sql.push_values(slice, |mut values, Refused { row, is_cut, field, reason, message }| {
                values.push_bind(job_id).push_bind(row.line).push_bind(&row.name).push_bind(&row.category);
                values.push_bind(&row.sku).push_bind(i64::from(*is_cut));
                values.push_bind(field).push_bind(reason.as_str()).push_bind(message);
            });
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}
