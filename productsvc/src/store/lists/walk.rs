//! Steps along an order: products that are meant, until there are enough or too many were seen.

use crate::order::Place;
use crate::product::Product;
use crate::range::Range;
use crate::store::connection::Connection;
use crate::store::failure::Failure;
use crate::store::lists::List;
use crate::store::lists::reading::{End, Reading};

/// So many products are looked at for one page; what is not found by then is on later ones.
const MOST_SEEN: usize = 20_000;

/// So many are read at once, when not all of them are meant.
const STEP: usize = 500;

/// Where the products of a list come from.
pub(super) enum Source {
    /// From the index of the order.
    Along,
    /// These, in the order of their places.
    Few(Vec<(Place, Product)>),
}

/// Products on the way from a cursor, the nearest first.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// One more than the page has, if there is one.
    pub(super) items: Vec<Product>,
    /// The last place that was looked at, when the way was given up there.
    pub(super) stopped: Option<Place>,
}

impl Source {
    /// What the list's page takes from its cursor on.
    pub(super) async fn stretch(&self, list: &List, on: &mut Connection<'_>) -> Result<Stretch, Failure> {
        match self {
            Self::Along => along(list, on).await,
            Self::Few(products) => {
                let range = list.range();
                let inside = products.iter().filter(|(place, _)| range.contains(place)).map(|(_, product)| product);
                let items: Vec<&Product> = match list.end() {
                    End::Lower => inside.take(list.size + 1).collect(),
                    End::Upper => inside.rev().take(list.size + 1).collect(),
                };
                Ok(Stretch { items: items.into_iter().cloned().collect(), stopped: None })
            }
        }
    }
}

async fn along(list: &List, on: &mut Connection<'_>) -> Result<Stretch, Failure> {
    let (want, is_range) = (list.size + 1, list.is_range());
    let mut range = list.range();
    let mut stretch = Stretch::default();
    let mut seen = 0;
    loop {
        let limit = if is_range { want } else { want.max(STEP) };
        let (step, ended) = step(list, &range, limit, on).await?;
        for (place, product) in step {
            seen += 1;
            match list.end() {
                End::Lower => range.above(place.clone()),
                End::Upper => range.below(place.clone()),
            }
            if list.selection.filter.matches(&product) {
                stretch.items.push(product);
                if stretch.items.len() == want {
                    return Ok(stretch);
                }
            }
            if seen == MOST_SEEN {
                stretch.stopped = Some(place);
                return Ok(stretch);
            }
        }
        if ended {
            return Ok(stretch);
        }
    }
}

/// The next products of the order, deleted ones in between, and whether these were the last.
async fn step(
    list: &List,
    range: &Range,
    limit: usize,
    on: &mut Connection<'_>,
) -> Result<(Vec<(Place, Product)>, bool), Failure> {
    let sets = list.selection.sets();
    let (mut products, mut ended) = (Vec::new(), true);
    for set in &sets {
        let reading = Reading { by: list.order.by, set: *set, from: list.end(), range, limit };
        let found = reading.products(on).await?;
        ended &= found.len() < limit;
        products.extend(found);
    }
    if sets.len() > 1 {
        products.sort_unstable_by(|(left, _), (right, _)| match list.end() {
            End::Lower => left.cmp(right),
            End::Upper => right.cmp(left),
        });
        // Up to here each set has told all that it has.
        ended &= products.len() <= limit;
        products.truncate(limit);
    }
    Ok((products, ended))
}
