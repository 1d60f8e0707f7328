//! How many products a list has on all its pages: counted where that is cheap, else estimated.

use crate::order::By;
use crate::page::{Cursor, Page};
use crate::product::Product;
use crate::range::Range;
use crate::selection::Set;
use crate::store::books;
use crate::store::connection::{Connection, on_either};
use crate::store::failure::Failure;
use crate::store::lists::List;
use crate::store::lists::reading::{End, Reading};
use crate::store::lists::walk::Source;

/// Ranges are counted so far.
const MOST_COUNTED: usize = 10_000;

/// So many products tell what share of all a filter means: a tenth is told to a fifth of itself.
const SAMPLES: i64 = 256;

/// How many products there are on all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The number.
    pub size: i64,
    /// Whether it was counted.
    pub is_exact: bool,
}

impl Total {
    fn exact(size: usize) -> Self {
        Self { size: size as i64, is_exact: true }
    }
}

impl List {
    pub(super) async fn total(
        &self,
        source: &Source,
        page: &Page<Product>,
        on: &mut Connection<'_>,
    ) -> Result<Total, Failure> {
        if let Source::Few(products) = source {
            return Ok(Total::exact(products.len()));
        }
        let (last_id, all) = self.all(on).await?;
        let filter = &self.selection.filter;
        if filter.range(self.order.by).is_everything() && self.is_range() {
            return Ok(all);
        }
        let is_whole = matches!(self.cursor, Cursor::First) && page.next.is_none();
        if is_whole {
            return Ok(Total::exact(page.items.len()));
        }
        // What is known to be there.
        let mut least = page.items.len() + usize::from(page.next.is_some() || page.previous.is_some());
        if self.is_range() {
            least = self.count(self.order.by, MOST_COUNTED + 1, on).await?;
            if least <= MOST_COUNTED {
                return Ok(Total::exact(least));
            }
        }
        let estimate = self.estimate(last_id, all.size, on).await?;
        Ok(Total { size: estimate.max(least as i64), is_exact: false })
    }

    /// The last id that was given, and how many products there are, filtered only by whether they are deleted.
    async fn all(&self, on: &mut Connection<'_>) -> Result<(i64, Total), Failure> {
        const COUNTS: &str = "SELECT last_id, live_products FROM catalogue WHERE id = 1";

        let (last_id, live): (i64, i64) = on_either!(on, |c| sqlx::query_as(COUNTS).fetch_one(c).await?);
        let mut all = Total { size: 0, is_exact: true };
        for set in self.selection.sets() {
            all.size += match set {
                Set::Live => live,
                Set::Deleted => {
                    let (by, range) = (By::Id, Range::default());
                    let reading = Reading { by, set, from: End::Lower, range: &range, limit: MOST_COUNTED + 1 };
                    let deleted = reading.count(on).await?;
                    all.is_exact = deleted <= MOST_COUNTED;
                    deleted as i64
                }
            };
        }
        Ok((last_id, all))
    }

    /// The share of some products, far from each other, that are meant.
    async fn estimate(&self, last_id: i64, all: i64, on: &mut Connection<'_>) -> Result<i64, Failure> {
        let sets = self.selection.sets();
        let step = (last_id / SAMPLES).max(1);
        let ids: Vec<i64> = (0..SAMPLES).map(|number| (number * step + step / 2 + 1).min(last_id)).collect();
        let found = books::by_id(&ids, on).await?;
        let among =
            |product: &Product| sets.contains(if product.delete_time.is_some() { &Set::Deleted } else { &Set::Live });
        let sampled: Vec<Product> =
            found.into_iter().map(|present| present.product).filter(|product| among(product)).collect();
        let meant = sampled.iter().filter(|product| self.selection.filter.matches(product)).count();
        Ok(all.saturating_mul(meant as i64) / (sampled.len().max(1) as i64))
    }
}
