//! The counts of categories against what products say.

use std::collections::BTreeMap;

use tokio_stream::StreamExt as _;

use crate::category::{Delta, Deltas};
use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const COUNTED: &str = "SELECT COUNT(*) FROM catalogue WHERE categories_counted = 1";
    const SAID: &str = "SELECT category, COUNT(*) FROM products WHERE delete_time IS NULL GROUP BY category";
    const KEPT: &str = "SELECT path_key, path, direct_products, total_products FROM categories ORDER BY path_key";

    let counted: i64 = on_either!(on, |c| sqlx::query_scalar(COUNTED).fetch_one(c).await?);
    if counted == 0 {
        // Whoever serves the catalogue next counts them.
        return Ok(());
    }
    let mut said = Deltas::default();
    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, (String, i64)>(SAID).fetch(c);
        while let Some((category, products)) = rows.try_next().await? {
            said.count(&category, products);
        }
    });
    let mut said: BTreeMap<String, Delta> = said.changes().collect();
    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, (String, String, i64, i64)>(KEPT).fetch(c);
        while let Some((key, path, direct, total)) = rows.try_next().await? {
            findings.advance();
            let there = said.remove(&key).map_or((0, 0), |said| (said.direct, said.total));
            if there != (direct, total) {
                let (has, of) = there;
                findings.tell(&format!(
                    "the category {path:?} counts {direct} products in it and {total} with those below; there are {has} and {of}"
                ));
            }
        }
    });
    for uncounted in said.into_values() {
        findings
            .tell(&format!("the category {:?} is not counted; it has {} products", uncounted.path, uncounted.total));
    }
    Ok(())
}
