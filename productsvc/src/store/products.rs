//! The statements that read products.

use crate::page::{Cursor, Page, containing};
use crate::product::Product;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::rows::{ProductRow, product_columns};
use crate::text::Text;

/// One product, also when it is deleted.
pub(super) struct Find {
    pub(super) id: i64,
}

impl Work for Find {
    type Answer = Option<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Product>, Failure> {
        const FIND: &str = concat!("SELECT ", product_columns!(), " FROM products WHERE id = $1");

        let row: Option<ProductRow> = on_either!(on, |c| sqlx::query_as(FIND).bind(self.id).fetch_optional(c).await?);
        Ok(row.map(Product::from))
    }
}

/// The product that has a SKU and is not deleted.
pub(super) struct FindBySku<'a> {
    pub(super) sku_key: &'a str,
}

impl Work for FindBySku<'_> {
    type Answer = Option<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Product>, Failure> {
        const FIND: &str =
            concat!("SELECT ", product_columns!(), " FROM products WHERE sku_key = $1 AND delete_time IS NULL");

        let row: Option<ProductRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.sku_key).fetch_optional(c).await?);
        Ok(row.map(Product::from))
    }
}

/// Which text is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Name, category or SKU.
    Any,
    /// The name.
    Name,
    /// The category.
    Category,
    /// The SKU.
    Sku,
}

/// What is searched, and where.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where to look.
    pub field: Field,
    /// What to find.
    pub query: Text<200>,
}

/// A page of products, newest first.
pub(super) struct FindPage<'a> {
    pub(super) search: Option<&'a Search>,
    pub(super) cursor: Cursor,
    pub(super) size: usize,
}

macro_rules! page {
    ($range:literal, $filter:literal) => {
        concat!(
            "SELECT ",
            product_columns!(),
            " FROM products WHERE delete_time IS NULL",
            $filter,
            " AND id ",
            $range,
            " LIMIT $2"
        )
    };
}

macro_rules! pages {
    ($range:literal, $field:expr) => {
        match $field {
            None => page!($range, ""),
            Some(Field::Name) => page!($range, r" AND name_key LIKE $3 ESCAPE '\'"),
            Some(Field::Category) => page!($range, r" AND category_key LIKE $3 ESCAPE '\'"),
            Some(Field::Sku) => page!($range, r" AND sku_key LIKE $3 ESCAPE '\'"),
            Some(Field::Any) => page!(
                $range,
                r" AND (name_key LIKE $3 ESCAPE '\' OR category_key LIKE $3 ESCAPE '\' OR sku_key LIKE $3 ESCAPE '\')"
            ),
        }
    };
}

impl FindPage<'_> {
    async fn older(&self, below: i64, on: &mut Connection<'_>) -> Result<(Vec<Product>, bool), Failure> {
        self.select(pages!("< $1 ORDER BY id DESC", self.search.map(|search| search.field)), below, on).await
    }

    async fn newer(&self, above: i64, on: &mut Connection<'_>) -> Result<(Vec<Product>, bool), Failure> {
        self.select(pages!("> $1 ORDER BY id", self.search.map(|search| search.field)), above, on).await
    }

    /// A page's products, and whether there are more behind them.
    async fn select(
        &self,
        sql: &'static str,
        edge: i64,
        on: &mut Connection<'_>,
    ) -> Result<(Vec<Product>, bool), Failure> {
        let limit = i64::try_from(self.size).unwrap_or(i64::MAX - 1) + 1;
        let pattern = self.search.map(|search| containing(search.query.key()));
        let rows: Vec<ProductRow> = on_either!(on, |c| {
            let select = sqlx::query_as(sql).bind(edge).bind(limit);
            let select = match pattern {
                Some(pattern) => select.bind(pattern),
                None => select,
            };
            select.fetch_all(c).await?
        });
        let more = rows.len() > self.size;
        Ok((rows.into_iter().take(self.size).map(Product::from).collect(), more))
    }
}

impl Work for FindPage<'_> {
    type Answer = Page<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Page<Product>, Failure> {
        if let Cursor::Newer(above) = self.cursor {
            let (mut items, more) = self.newer(above, on).await?;
            // With nothing before it this is the first page, which is full when it can be.
            if more {
                items.reverse();
                let next = items.last().map(|product| Cursor::Older(product.id));
                let previous = items.first().map(|product| Cursor::Newer(product.id));
                return Ok(Page { items, next, previous });
            }
        }
        let below = match self.cursor {
            Cursor::Older(below) => Some(below),
            Cursor::Newest | Cursor::Newer(_) => None,
        };
        let (items, more) = self.older(below.unwrap_or(i64::MAX), on).await?;
        let next = items.last().filter(|_| more).map(|product| Cursor::Older(product.id));
        // A page that emptied since still leads back, to the product it begins behind.
        let newest = items.first().map(|product| product.id);
        let previous = below.map(|below| Cursor::Newer(newest.unwrap_or_else(|| below.saturating_sub(1))));
        Ok(Page { items, next, previous })
    }
}
