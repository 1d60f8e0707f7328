//! The changes: without gaps, and of products that are there or were purged.

use tokio_stream::StreamExt as _;

use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};
use crate::version::Kind;

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const ALL: &str = "SELECT product_changes.sequence, product_changes.product_id, product_changes.version,
            product_changes.change_kind, products.version
        FROM product_changes LEFT JOIN products ON products.id = product_changes.product_id
        ORDER BY product_changes.sequence";
    const LOST: &str = "SELECT product_changes.product_id, MAX(product_changes.sequence)
        FROM product_changes LEFT JOIN products ON products.id = product_changes.product_id
        WHERE products.id IS NULL
        GROUP BY product_changes.product_id
        HAVING MAX(CASE WHEN product_changes.change_kind = $1 THEN 1 ELSE 0 END) = 0";

    let mut before: Option<i64> = None;
    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, (i64, i64, i64, i64, Option<i64>)>(ALL).fetch(c);
        while let Some((sequence, id, version, kind, present)) = rows.try_next().await? {
            if let Some(before) = before.filter(|before| before + 1 != sequence) {
                findings.tell(&format!("changes: nothing is kept between the sequences {before} and {sequence}"));
            }
            if present.is_some_and(|present| present < version) {
                let present = present.unwrap_or_default();
                findings
                    .tell(&format!("change {sequence} made version {version} of product {id}, which is at {present}"));
            }
            if kind == 0 || Kind::parse(kind).code() != kind {
                findings.tell(&format!("change {sequence}: nothing is called {kind} that happens to a product"));
            }
            before = Some(sequence);
            findings.advance();
        }
    });
    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, (i64, i64)>(LOST).bind(Kind::Purged.code()).fetch(c);
        while let Some((id, sequence)) = rows.try_next().await? {
            findings.tell(&format!("change {sequence} is of product {id}, which is not there and was not purged"));
        }
    });
    Ok(())
}
