//! The statements on products.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::error::Error;
use crate::page::{Cursor, Page, containing};
use crate::product::{Change, Draft, Etag, Product};
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::from_micros;
use crate::text::Text;

macro_rules! columns {
    () => {
        "id, name, category, sku, version, create_time, update_time, delete_time"
    };
}

#[derive(FromRow)]
struct ProductRow {
    id: i64,
    name: String,
    category: String,
    sku: String,
    version: i64,
    create_time: i64,
    update_time: i64,
    delete_time: Option<i64>,
}

impl From<ProductRow> for Product {
    fn from(row: ProductRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            category: row.category,
            sku: row.sku,
            version: row.version,
            create_time: from_micros(row.create_time),
            update_time: from_micros(row.update_time),
            delete_time: row.delete_time.map(from_micros),
        }
    }
}

/// Adds a product.
pub(super) struct Create<'a> {
    pub(super) draft: &'a Draft,
    pub(super) now: Timestamp,
}

impl Work for Create<'_> {
    type Answer = Product;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Product, Failure> {
        const CREATE: &str = concat!(
            "INSERT INTO products (name, category, sku, name_key, category_key, sku_key, version, create_time, update_time)
            VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7)
            RETURNING ",
            columns!()
        );

        let Draft { name, category, sku } = self.draft;
        let row: ProductRow = on_either!(on, |c| {
            let create = sqlx::query_as(CREATE).bind(name.as_str()).bind(category.as_str()).bind(sku.as_str());
            let create = create.bind(name.key()).bind(category.key()).bind(sku.key()).bind(self.now.as_microsecond());
            create.fetch_one(c).await?
        });
        Ok(row.into())
    }
}

/// One product, also when it is deleted.
pub(super) struct Find {
    pub(super) id: i64,
}

impl Work for Find {
    type Answer = Option<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Product>, Failure> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM products WHERE id = $1");

        let row: Option<ProductRow> = on_either!(on, |c| sqlx::query_as(FIND).bind(self.id).fetch_optional(c).await?);
        Ok(row.map(Product::from))
    }
}

/// The id of the product that has a SKU and is not deleted.
pub(super) struct FindLive<'a> {
    pub(super) sku_key: &'a str,
}

impl Work for FindLive<'_> {
    type Answer = Option<i64>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<i64>, Failure> {
        const FIND: &str = "SELECT id FROM products WHERE sku_key = $1 AND delete_time IS NULL";

        Ok(on_either!(on, |c| sqlx::query_scalar(FIND).bind(self.sku_key).fetch_optional(c).await?))
    }
}

/// Replaces what people say of a product.
pub(super) struct Update<'a> {
    pub(super) change: &'a Change,
    pub(super) now: Timestamp,
}

impl Work for Update<'_> {
    type Answer = Product;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Product, Failure> {
        const UPDATE: &str = concat!(
            "UPDATE products
            SET name = $3, category = $4, sku = $5, name_key = $6, category_key = $7, sku_key = $8,
                version = version + 1, update_time = $9
            WHERE id = $1 AND version = $2 AND delete_time IS NULL
            RETURNING ",
            columns!()
        );

        let Change { id, etag, draft: Draft { name, category, sku } } = self.change;
        let id = *id;
        let row: Option<ProductRow> = on_either!(on, |c| {
            let update = sqlx::query_as(UPDATE).bind(id).bind(etag.version);
            let update = update.bind(name.as_str()).bind(category.as_str()).bind(sku.as_str());
            let update = update.bind(name.key()).bind(category.key()).bind(sku.key()).bind(self.now.as_microsecond());
            update.fetch_optional(c).await?
        });
        if let Some(row) = row {
            return Ok(row.into());
        }
        match (Find { id }).run(on).await? {
            None => Err(Error::ProductNotFound { id }.into()),
            Some(product) if product.delete_time.is_some() => Err(Error::ProductDeleted { id }.into()),
            Some(product) if product.etag() != *etag => Err(Error::StaleVersion { version: product.version }.into()),
            // It changed between the two statements, and back to this version it never comes.
            Some(_) => Err(Failure::Conflict),
        }
    }
}

/// Hides a product and frees its SKU.
pub(super) struct Delete {
    pub(super) id: i64,
    pub(super) etag: Option<Etag>,
    pub(super) now: Timestamp,
}

impl Work for Delete {
    type Answer = Product;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Product, Failure> {
        const DELETE: &str = concat!(
            "UPDATE products
            SET delete_time = $3, update_time = $3, version = version + 1
            WHERE id = $1 AND ($2 = 0 OR version = $2) AND delete_time IS NULL
            RETURNING ",
            columns!()
        );

        let version = self.etag.map_or(0, |etag| etag.version);
        let row: Option<ProductRow> = on_either!(on, |c| {
            let delete = sqlx::query_as(DELETE).bind(self.id).bind(version).bind(self.now.as_microsecond());
            delete.fetch_optional(c).await?
        });
        if let Some(row) = row {
            return Ok(row.into());
        }
        match (Find { id: self.id }).run(on).await? {
            Some(product) if product.delete_time.is_none() => {
                Err(Error::StaleVersion { version: product.version }.into())
            }
            _ => Err(Error::ProductNotFound { id: self.id }.into()),
        }
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
            columns!(),
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
