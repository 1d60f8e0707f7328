//! The statements that read products.

use sqlx::QueryBuilder;

use crate::order::{By, Order, Place, Value};
use crate::page::{Cursor, Page};
use crate::product::Product;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::rows::{ProductRow, product_columns};

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

/// A page of products, and how many there are.
pub(super) struct FindPage<'a> {
    pub(super) order: Order,
    pub(super) cursor: &'a Cursor,
    pub(super) size: usize,
}

/// Which way from a place, and whether with what is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Behind,
    Before,
    UpTo,
}

impl FindPage<'_> {
    /// The products on one side of a place, the nearest first, and whether there are more.
    async fn select(
        &self,
        side: Side,
        place: Option<&Place>,
        on: &mut Connection<'_>,
    ) -> Result<(Vec<Product>, bool), Failure> {
        let rows: Vec<ProductRow> =
            on_either!(on, |c| self.statement(side, place).build_query_as().fetch_all(c).await?);
        let more = rows.len() > self.size;
        Ok((rows.into_iter().take(self.size).map(Product::from).collect(), more))
    }

    /// One of a few dozen texts: each is prepared once.
    pub(super) fn statement<DB: sqlx::Database>(&self, side: Side, place: Option<&Place>) -> QueryBuilder<DB>
    where
        String: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
        i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    {
        let mut sql =
            QueryBuilder::new(concat!("SELECT ", product_columns!(), " FROM products WHERE delete_time IS NULL"));
        self.push_range(side, place, &mut sql);
        sql.push(" LIMIT ").push_bind(i64::try_from(self.size).unwrap_or(i64::MAX - 1) + 1);
        sql
    }

    /// The side of a place, and the order towards it. Rows are compared as such: both
    /// databases find the place in the index of the order.
    fn push_range<DB: sqlx::Database>(&self, side: Side, place: Option<&Place>, sql: &mut QueryBuilder<DB>)
    where
        String: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
        i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    {
        let (columns, ascending, descending) = match self.order.by {
            By::Id => ("id", "id", "id DESC"),
            By::Name => ("(name_key, id)", "name_key, id", "name_key DESC, id DESC"),
            By::Category => ("(category_key, id)", "category_key, id", "category_key DESC, id DESC"),
            By::Sku => ("(sku_key, id)", "sku_key, id", "sku_key DESC, id DESC"),
            By::CreateTime => ("(create_time, id)", "create_time, id", "create_time DESC, id DESC"),
            By::UpdateTime => ("(update_time, id)", "update_time, id", "update_time DESC, id DESC"),
        };
        let greatest_first = self.order.descending == matches!(side, Side::Behind);
        if let Some(place) = place {
            sql.push(" AND ").push(columns).push(match (greatest_first, side) {
                (true, Side::Behind | Side::Before) => " < ",
                (false, Side::Behind | Side::Before) => " > ",
                (true, Side::UpTo) => " <= ",
                (false, Side::UpTo) => " >= ",
            });
            match &place.value {
                Value::Nothing => sql.push_bind(place.id),
                Value::Text(text) => sql.push("(").push_bind(text.clone()).push(", ").push_bind(place.id).push(")"),
                Value::Moment(micros) => sql.push("(").push_bind(*micros).push(", ").push_bind(place.id).push(")"),
            };
        }
        sql.push(" ORDER BY ").push(if greatest_first { descending } else { ascending });
    }
}

impl Work for FindPage<'_> {
    type Answer = Page<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Page<Product>, Failure> {
        let place = |product: &Product| self.order.place(product);
        let backwards = match self.cursor {
            Cursor::Before(end) => Some((Side::Before, end)),
            Cursor::UpTo(end) => Some((Side::UpTo, end)),
            Cursor::First | Cursor::After(_) => None,
        };
        if let Some((side, end)) = backwards {
            let (mut items, more) = self.select(side, Some(end), on).await?;
            // With nothing before it this is the first page, which is full when it can be.
            if more {
                items.reverse();
                let next = items.last().map(|product| Cursor::After(place(product)));
                let previous = items.first().map(|product| Cursor::Before(place(product)));
                return Ok(Page { items, next, previous });
            }
        }
        let begin = match self.cursor {
            Cursor::After(begin) => Some(begin),
            Cursor::First | Cursor::Before(_) | Cursor::UpTo(_) => None,
        };
        let (items, more) = self.select(Side::Behind, begin, on).await?;
        let next = items.last().filter(|_| more).map(|product| Cursor::After(place(product)));
        // A page that emptied since still leads back, to the product it began behind.
        let previous = begin.map(|begin| match items.first() {
            Some(product) => Cursor::Before(place(product)),
            None => Cursor::UpTo(begin.clone()),
        });
        Ok(Page { items, next, previous })
    }
}

/// How many products are not deleted.
pub(super) struct Count;

impl Work for Count {
    type Answer = i64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<i64, Failure> {
        const COUNT: &str = "SELECT live_products FROM catalogue WHERE id = 1";

        Ok(on_either!(on, |c| sqlx::query_scalar(COUNT).fetch_one(c).await?))
    }
}
