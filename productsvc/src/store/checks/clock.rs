//! The one row that counts: what was given must not be given again.

use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const CLOCK: &str = "SELECT id, last_id, last_sequence, live_products FROM catalogue";
    const LAST_ID: &str = "SELECT MAX(id) FROM (
            SELECT MAX(id) AS id FROM products
            UNION ALL SELECT MAX(product_id) FROM product_versions
            UNION ALL SELECT MAX(product_id) FROM product_changes
        ) AS given";
    const LAST_SEQUENCE: &str = "SELECT MAX(sequence) FROM product_changes";
    const LIVE: &str = "SELECT COUNT(*) FROM products WHERE delete_time IS NULL";

    let rows: Vec<(i64, i64, i64, i64)> = on_either!(on, |c| sqlx::query_as(CLOCK).fetch_all(c).await?);
    let [(1, last_id, last_sequence, live)] = rows[..] else {
        findings.tell(&format!("the table catalogue has {} rows instead of one with the id 1", rows.len()));
        return Ok(());
    };
    let given: Option<i64> = on_either!(on, |c| sqlx::query_scalar(LAST_ID).fetch_one(c).await?);
    if given.is_some_and(|given| given > last_id) {
        let given = given.unwrap_or_default();
        findings.tell(&format!(
            "catalogue: the last id is {last_id}, but product {given} has one: it would be given again"
        ));
    }
    let told: Option<i64> = on_either!(on, |c| sqlx::query_scalar(LAST_SEQUENCE).fetch_one(c).await?);
    if let Some(told) = told.filter(|told| *told != last_sequence) {
        findings
            .tell(&format!("catalogue: the last sequence is {last_sequence}, but that of the last change is {told}"));
    }
    let counted: i64 = on_either!(on, |c| sqlx::query_scalar(LIVE).fetch_one(c).await?);
    if counted != live {
        let hint = "`productsvc check --repair` counts anew";
        findings
            .tell(&format!("catalogue: it counts {live} products that are not deleted, there are {counted}; {hint}"));
    }
    Ok(())
}
