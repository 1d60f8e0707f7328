//! Each import: what it counts is what became of its rows.

use sqlx::FromRow;
use tokio_stream::StreamExt as _;

use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};

#[derive(FromRow)]
struct Row {
    id: i64,
    total_rows: i64,
    sum: i64,
    refused_rows: i64,
    kept: i64,
}

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const ALL: &str = "SELECT import_jobs.id, import_jobs.total_rows,
            import_jobs.created_rows + import_jobs.updated_rows + import_jobs.unchanged_rows
                + import_jobs.refused_rows AS sum,
            import_jobs.refused_rows, COUNT(import_refusals.line) AS kept
        FROM import_jobs LEFT JOIN import_refusals ON import_refusals.job_id = import_jobs.id
        GROUP BY import_jobs.id
        ORDER BY import_jobs.id";

    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, Row>(ALL).fetch(c);
        while let Some(Row { id, total_rows, sum, refused_rows, kept }) = rows.try_next().await? {
            if total_rows != sum {
                findings.tell(&format!("import {id} counts {total_rows} rows, but says what became of {sum}"));
            }
            if refused_rows != kept {
                findings.tell(&format!("import {id} counts {refused_rows} refused rows, of which {kept} are kept"));
            }
            findings.advance();
        }
    });
    Ok(())
}
