//! Each import: what it counts is what became of its rows.

use sqlx::FromRow;
use tokio_stream::StreamExt as _;

use crate::import::State;
use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};

#[derive(FromRow)]
struct Row {
    id: i64,
    total_rows: i64,
    sum: i64,
    refused_rows: i64,
    kept: i64,
    staged_rows: i64,
    staged: i64,
    state: i64,
    dry_run: i64,
}

impl Row {
    /// Whether each row is counted by what became of it: not so while a dry run is applied.
    fn is_counted(&self) -> bool {
        let applying = [State::Committing, State::Cancelled, State::Undoing, State::Undone];
        self.dry_run == 0 || !applying.iter().any(|state| state.code() == self.state)
    }

    /// Whether all rows that a dry run has judged wait for being applied.
    fn waits(&self) -> bool {
        [State::Staging, State::Ready].iter().any(|state| state.code() == self.state)
    }
}

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const ALL: &str = "SELECT import_jobs.id, import_jobs.total_rows,
            import_jobs.created_rows + import_jobs.updated_rows + import_jobs.unchanged_rows
                + import_jobs.refused_rows AS sum,
            import_jobs.refused_rows, import_jobs.staged_rows, import_jobs.state, import_jobs.dry_run,
            (SELECT COUNT(*) FROM import_refusals WHERE import_refusals.job_id = import_jobs.id) AS kept,
            (SELECT COUNT(*) FROM import_rows WHERE import_rows.job_id = import_jobs.id) AS staged
        FROM import_jobs
        ORDER BY import_jobs.id";

    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, Row>(ALL).fetch(c);
        while let Some(row) = rows.try_next().await? {
            let Row { id, total_rows, sum, refused_rows, kept, staged_rows, staged, .. } = row;
            if row.is_counted() && total_rows != sum {
                findings.tell(&format!("import {id} counts {total_rows} rows, but says what became of {sum}"));
            }
            if refused_rows != kept {
                findings.tell(&format!("import {id} counts {refused_rows} refused rows, of which {kept} are kept"));
            }
            if row.waits() && staged_rows != staged {
                findings.tell(&format!("import {id} has judged {staged_rows} rows, of which {staged} are kept"));
            }
            findings.advance();
        }
    });
    Ok(())
}
