//! The versions of each product: without gaps, each ended when the next began.
//!
//! The first ones may be missing: they are older than the history, or archived.

use sqlx::FromRow;
use tokio_stream::StreamExt as _;

use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};

#[derive(Debug, Clone, FromRow)]
struct Row {
    product_id: i64,
    version: i64,
    update_time: i64,
    end_time: i64,
    /// Of the product as it is; none when there is no such product.
    present_version: Option<i64>,
    present_time: Option<i64>,
}

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const ALL: &str = "SELECT product_versions.product_id, product_versions.version, product_versions.update_time,
            product_versions.end_time, products.version AS present_version, products.update_time AS present_time
        FROM product_versions LEFT JOIN products ON products.id = product_versions.product_id
        ORDER BY product_versions.product_id, product_versions.version";

    // The first version has no version before it; nor has what was there before the history.
    const LOST: &str = "SELECT v.product_id, v.version
        FROM product_versions v
        WHERE v.version > 1 AND v.change_kind <> 0
            AND NOT EXISTS (SELECT 1
                FROM product_versions e
                WHERE e.product_id = v.product_id AND e.version < v.version)
            AND NOT EXISTS (SELECT 1
                FROM archive_parts a
                WHERE v.product_id >= a.first_product_id AND v.product_id <= a.last_product_id)
        UNION ALL
        SELECT p.id, p.version
        FROM products p
        WHERE p.version > 1 AND p.change_kind <> 0
            AND NOT EXISTS (SELECT 1 FROM product_versions e WHERE e.product_id = p.id)
            AND NOT EXISTS (SELECT 1
                FROM archive_parts a
                WHERE p.id >= a.first_product_id AND p.id <= a.last_product_id)";

    on_either!(on, |c| {
        let mut lost = sqlx::query_as::<_, (i64, i64)>(LOST).fetch(c);
        while let Some((product_id, version)) = lost.try_next().await? {
            findings.tell(&format!("product {product_id}: nothing is kept of what came before its version {version}"));
        }
    });
    let mut before: Option<Row> = None;
    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, Row>(ALL).fetch(c);
        while let Some(row) = rows.try_next().await? {
            if let Some(fault) = before.as_ref().and_then(|before| fault(before, Some(&row))) {
                findings.tell(&fault);
            }
            findings.advance();
            before = Some(row);
        }
    });
    if let Some(fault) = before.as_ref().and_then(|last| fault(last, None)) {
        findings.tell(&fault);
    }
    Ok(())
}

/// What is wrong between a version and what follows it: the next row, or the product as it is.
fn fault(row: &Row, next: Option<&Row>) -> Option<String> {
    let Row { product_id, version, .. } = row;
    let (Some(present_version), Some(present_time)) = (row.present_version, row.present_time) else {
        return Some(format!("version {version} of product {product_id}: there is no such product"));
    };
    let next = next.filter(|next| next.product_id == *product_id);
    let (next_version, next_time) =
        next.map_or((present_version, present_time), |next| (next.version, next.update_time));
    if next_version <= *version {
        return Some(format!("product {product_id} has a version {version}, but is at version {present_version}"));
    }
    if next_version != version + 1 {
        return Some(format!(
            "product {product_id}: nothing is kept between its versions {version} and {next_version}"
        ));
    }
    if next_time != row.end_time {
        return Some(format!(
            "version {version} of product {product_id} did not end when version {next_version} began"
        ));
    }
    (row.end_time < row.update_time).then(|| format!("version {version} of product {product_id} ended before it began"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: i64) -> Row {
        Row {
            product_id: 7,
            version,
            update_time: version * 10,
            end_time: (version + 1) * 10,
            present_version: Some(4),
            present_time: Some(40),
        }
    }

    #[test]
    fn versions_that_follow_each_other_are_sound_wherever_they_begin() {
        assert_eq!(fault(&row(2), Some(&row(3))), None);
        assert_eq!(fault(&row(3), None), None);
        assert_eq!(fault(&row(3), Some(&Row { product_id: 8, ..row(9) })), None);
    }

    #[test]
    fn each_break_is_told() {
        let cases = [
            (row(1), Some(row(3)), "product 7: nothing is kept between its versions 1 and 3"),
            (row(2), None, "product 7: nothing is kept between its versions 2 and 4"),
            (row(4), None, "product 7 has a version 4, but is at version 4"),
            (Row { end_time: 41, ..row(3) }, None, "version 3 of product 7 did not end when version 4 began"),
            (Row { update_time: 99, ..row(3) }, None, "version 3 of product 7 ended before it began"),
            (Row { present_version: None, ..row(3) }, None, "version 3 of product 7: there is no such product"),
        ];
        for (row, next, told) in cases {
            assert_eq!(fault(&row, next.as_ref()).as_deref(), Some(told));
        }
    }
}
