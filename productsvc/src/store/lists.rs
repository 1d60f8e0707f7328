//! Lists of products: filtered, in an order, page by page, at a bounded cost each.
//!
//! A filter is never told to the database but as ranges of its indexes. Whether a
//! product is meant is decided in Rust, so that both databases answer the same bytes.

mod reading;
mod total;
mod walk;

use crate::order::{By, Order, Place};
use crate::page::{Cursor, Page};
use crate::product::Product;
use crate::range::Range;
use crate::selection::{Selection, Set};
use crate::store::connection::{Connection, Work};
use crate::store::failure::Failure;
use crate::store::lists::reading::{End, Reading};
use crate::store::lists::walk::{Source, Stretch};

pub use crate::store::lists::reading::Plan;
pub use crate::store::lists::total::Total;

/// So many products are read and sorted here, when a filter leaves no more of them.
const MOST_SORTED: usize = 2_000;

/// What is listed, in which order, and from where on.
#[derive(Debug, Clone)]
pub struct List {
    /// Which products.
    pub selection: Selection,
    /// In which order.
    pub order: Order,
    /// From where on.
    pub cursor: Cursor,
    /// How many at most.
    pub size: usize,
}

/// How the products of a list are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Along the index of the order.
    Along,
    /// By all products in the filter's range of this one, which are few.
    Few(By),
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The products, and where those before and after them are.
    pub page: Page<Product>,
    /// How many there are on all pages.
    pub total: Total,
    /// How they were found.
    pub route: Route,
}

/// Finds a page, and how many products there are on all.
pub(super) struct FindListed<'a> {
    pub(super) list: &'a List,
}

impl Work for FindListed<'_> {
    type Answer = Listed;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Listed, Failure> {
        let route = self.list.route(on).await?;
        let source = self.list.source(route, on).await?;
        let page = self.list.page(&source, on).await?;
        let total = self.list.total(&source, &page, on).await?;
        Ok(Listed { page, total, route })
    }
}

/// Finds a page on a route that was found before.
pub(super) struct FollowRoute<'a> {
    pub(super) list: &'a List,
    pub(super) route: Route,
}

impl Work for FollowRoute<'_> {
    type Answer = Page<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Page<Product>, Failure> {
        let source = self.list.source(self.route, on).await?;
        self.list.page(&source, on).await
    }
}

/// Products of a range of an order that are not deleted, the first ones in it.
pub(super) struct FindInRange<'a> {
    pub(super) order: Order,
    pub(super) range: &'a Range,
    pub(super) limit: usize,
}

impl Work for FindInRange<'_> {
    type Answer = Vec<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Product>, Failure> {
        let Self { order, range, limit } = *self;
        let from = if order.descending { End::Upper } else { End::Lower };
        let reading = Reading { by: order.by, set: Set::Live, from, range, limit };
        Ok(reading.products(on).await?.into_iter().map(|(_, product)| product).collect())
    }
}

/// How the database means to answer a list: the plan of each statement.
pub(super) struct Explain<'a> {
    pub(super) list: &'a List,
}

impl Work for Explain<'_> {
    type Answer = Vec<Plan>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Plan>, Failure> {
        let List { selection, order, cursor, size } = self.list;
        let mut along = selection.filter.range(order.by);
        along.towards(cursor, *order);
        let few = selection.ranges().map(|by| (by, End::Lower, selection.filter.range(by), MOST_SORTED + 1));
        let mut plans = Vec::new();
        for (by, from, range, limit) in few.chain([(order.by, self.list.end(), along, size + 1)]) {
            for set in selection.sets() {
                plans.extend(Reading { by, set, from, range: &range, limit }.plans(on).await?);
            }
        }
        Ok(plans)
    }
}

impl List {
    /// Looks for a range that leaves few products. Reads a bounded part of each index.
    async fn route(&self, on: &mut Connection<'_>) -> Result<Route, Failure> {
        if self.is_range() {
            return Ok(Route::Along);
        }
        for by in self.selection.ranges() {
            if self.count(by, MOST_SORTED + 1, on).await? <= MOST_SORTED {
                return Ok(Route::Few(by));
            }
        }
        Ok(Route::Along)
    }

    /// Goes a route; along the order when what was few has become many.
    async fn source(&self, route: Route, on: &mut Connection<'_>) -> Result<Source, Failure> {
        if let Route::Few(by) = route
            && let Some(products) = self.few(by, on).await?
        {
            return Ok(Source::Few(products));
        }
        Ok(Source::Along)
    }

    async fn few(&self, by: By, on: &mut Connection<'_>) -> Result<Option<Vec<(Place, Product)>>, Failure> {
        let range = self.selection.filter.range(by);
        let mut products = Vec::new();
        for set in self.selection.sets() {
            let reading = Reading { by, set, from: End::Lower, range: &range, limit: MOST_SORTED + 1 };
            products.extend(reading.products(on).await?);
            if products.len() > MOST_SORTED {
                return Ok(None);
            }
        }
        products.retain(|(_, product)| self.selection.filter.matches(product));
        for (place, product) in &mut products {
            *place = self.order.place(product);
        }
        products.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        Ok(Some(products))
    }

    /// How many products are in the filter's range of an order, up to a limit.
    async fn count(&self, by: By, limit: usize, on: &mut Connection<'_>) -> Result<usize, Failure> {
        let range = self.selection.filter.range(by);
        let mut count = 0;
        for set in self.selection.sets() {
            count += Reading { by, set, from: End::Lower, range: &range, limit }.count(on).await?;
        }
        Ok(count.min(limit))
    }

    /// Whether all products in the filter's range of the order are meant.
    fn is_range(&self) -> bool {
        self.selection.filter.is_range_of(self.order.by)
    }

    /// The end of the order's index that the page is read from.
    fn end(&self) -> End {
        let backwards = matches!(self.cursor, Cursor::Before(_) | Cursor::UpTo(_));
        if self.order.descending == backwards { End::Lower } else { End::Upper }
    }

    async fn page(&self, source: &Source, on: &mut Connection<'_>) -> Result<Page<Product>, Failure> {
        if let Cursor::Before(end) | Cursor::UpTo(end) = &self.cursor {
            let Stretch { mut items, stopped } = source.stretch(self, on).await?;
            let more = items.len() > self.size;
            items.truncate(self.size);
            items.reverse();
            // With nothing before it this is the first page, which is full when it can be.
            if more || stopped.is_some() {
                let first = if more { items.first().map(|product| self.order.place(product)) } else { stopped };
                return Ok(Page { items, next: Some(self.on_from(end)), previous: first.map(Cursor::Before) });
            }
        }
        let begin = match &self.cursor {
            Cursor::After(begin) => Some(begin),
            Cursor::First | Cursor::Before(_) | Cursor::UpTo(_) => None,
        };
        let cursor = begin.cloned().map_or(Cursor::First, Cursor::After);
        let Stretch { mut items, stopped } = source.stretch(&Self { cursor, ..self.clone() }, on).await?;
        let more = items.len() > self.size;
        items.truncate(self.size);
        let last = if more { items.last().map(|product| self.order.place(product)) } else { stopped };
        // No product is on both, and none on neither.
        let previous = begin.cloned().map(Cursor::UpTo);
        Ok(Page { items, next: last.map(Cursor::After), previous })
    }

    /// The cursor of what a page before this end leaves out.
    fn on_from(&self, end: &Place) -> Cursor {
        match self.cursor {
            Cursor::UpTo(_) => Cursor::After(end.clone()),
            _ if self.order.descending => Cursor::After(Place { id: end.id.saturating_add(1), ..end.clone() }),
            _ => Cursor::After(Place { id: end.id.saturating_sub(1), ..end.clone() }),
        }
    }

    /// The part of the order that this list is about, from its cursor on.
    fn range(&self) -> Range {
        let mut range = self.selection.filter.range(self.order.by);
        range.towards(&self.cursor, self.order);
        range
    }
}
