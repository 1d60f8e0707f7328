//! The one statement of lists: a range of an index, in its order.

use sqlx::QueryBuilder;

use crate::order::{By, Order, Place, Value};
use crate::product::Product;
use crate::range::Range;
use crate::selection::Set;
use crate::store::connection::{Connection, on_either};
use crate::store::failure::Failure;
use crate::store::rows::{ProductRow, product_columns};

/// Products of a range, from one end of it on.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) by: By,
    pub(super) set: Set,
    pub(super) from: End,
    pub(super) range: &'a Range,
    pub(super) limit: usize,
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Lower,
    Upper,
}

/// How a database means to answer a statement, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The statement, with `$1` and so on for its values.
    pub statement: String,
    /// What it does, a step a line.
    pub steps: String,
    /// How many products it reads at most.
    pub limit: usize,
}

/// What is wanted of the products.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    All,
    Number,
}

impl Reading<'_> {
    /// The products and where they are, the nearest first.
    pub(super) async fn products(&self, on: &mut Connection<'_>) -> Result<Vec<(Place, Product)>, Failure> {
        if self.range.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ProductRow> = match on {
            // The driver hands every value of every row from one thread to another; a page is cheaper as one value.
            Connection::Sqlite(connection) => {
                let mut whole = self.statement(ProductRow::WHOLE, Wanted::All);
                let page: String = whole.push(")").build_query_scalar().fetch_one(&mut **connection).await?;
                ProductRow::read_whole(&page)?
            }
            Connection::Postgres(connection) => {
                self.statement("", Wanted::All).build_query_as().fetch_all(&mut **connection).await?
            }
        };
        let order = Order { by: self.by, descending: false };
        let placed = rows.into_iter().map(Product::from).map(|product| (order.place(&product), product));
        Ok(placed.filter(|(place, _)| self.range.contains(place)).take(self.limit).collect())
    }

    /// How many there are, up to the limit.
    pub(super) async fn count(&self, on: &mut Connection<'_>) -> Result<usize, Failure> {
        if self.range.is_empty() {
            return Ok(0);
        }
        let number: i64 =
            on_either!(on, |c| self.statement("", Wanted::Number).build_query_scalar().fetch_one(c).await?);
        Ok(usize::try_from(number).unwrap_or(0).min(self.limit))
    }

    /// How the database means to read the products, and how to count them.
    pub(super) async fn plans(&self, on: &mut Connection<'_>) -> Result<Vec<Plan>, Failure> {
        let mut plans = Vec::new();
        for wanted in [Wanted::All, Wanted::Number] {
            let statement = self.statement::<sqlx::Postgres>("", wanted).sql().as_str().to_owned();
            let steps: Vec<String> = match on {
                Connection::Sqlite(connection) => {
                    let mut explain = self.statement::<sqlx::Sqlite>("EXPLAIN QUERY PLAN ", wanted);
                    let steps = explain.build_query_as().fetch_all(&mut **connection).await?;
                    steps.into_iter().map(|(_, _, _, step): (i64, i64, i64, String)| step).collect()
                }
                Connection::Postgres(connection) => {
                    let mut explain = self.statement::<sqlx::Postgres>("EXPLAIN ", wanted);
                    explain.build_query_scalar().fetch_all(&mut **connection).await?
                }
            };
            plans.push(Plan { statement, steps: steps.join("\n"), limit: self.limit });
        }
        Ok(plans)
    }

    /// One of a few dozen texts: each is prepared once.
    fn statement<DB: sqlx::Database>(&self, explain: &str, wanted: Wanted) -> QueryBuilder<DB>
    where
        String: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
        i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    {
        let mut sql = QueryBuilder::new(explain);
        sql.push(match wanted {
            Wanted::All => concat!("SELECT ", product_columns!(), " FROM products WHERE "),
            Wanted::Number => "SELECT COUNT(*) FROM (SELECT id FROM products WHERE ",
        });
        sql.push(match (self.set, self.by) {
            (Set::Live, _) => "delete_time IS NULL",
            // The words of the index: only that of the order fits them.
            (Set::Deleted, By::Id) => "COALESCE(delete_time, -1) >= 0",
            (Set::Deleted, By::Name) => "COALESCE(delete_time, -2) >= 0",
            (Set::Deleted, By::Category) => "COALESCE(delete_time, -3) >= 0",
            (Set::Deleted, By::Sku) => "COALESCE(delete_time, -4) >= 0",
            (Set::Deleted, By::CreateTime) => "COALESCE(delete_time, -5) >= 0",
            (Set::Deleted, By::UpdateTime) => "COALESCE(delete_time, -6) >= 0",
        });
        let ends = [(&self.range.lower, ">"), (&self.range.upper, "<")];
        for (place, sign) in ends {
            let Some(place) = place else { continue };
            sql.push(" AND ");
            if self.is_unique() {
                // The place itself is left out later: another product may have the key by now.
                sql.push("sku_key ").push(sign).push("= ");
                push_value(&mut sql, &place.value);
            } else if self.by == By::Id {
                sql.push("id ").push(sign).push(" ").push_bind(place.id);
            } else {
                // Rows are compared as such: both databases find the place in the index.
                sql.push("(").push(self.column()).push(", id) ").push(sign).push(" (");
                push_value(&mut sql, &place.value);
                sql.push(", ").push_bind(place.id).push(")");
            }
        }
        let way = if self.from == End::Lower { "" } else { " DESC" };
        sql.push(" ORDER BY ").push(self.column()).push(way);
        if !self.is_unique() && self.by != By::Id {
            sql.push(", id").push(way);
        }
        let beyond = if self.is_unique() { 2 } else { 0 };
        sql.push(" LIMIT ").push_bind(i64::try_from(self.limit + beyond).unwrap_or(i64::MAX));
        if let Wanted::Number = wanted {
            sql.push(") AS counted");
        }
        sql
    }

    /// Whether no two products are equal in this order. PostgreSQL does not see that the
    /// id of such ones says nothing more, and would sort.
    fn is_unique(&self) -> bool {
        (self.by, self.set) == (By::Sku, Set::Live)
    }

    fn column(&self) -> &'static str {
        match self.by {
            By::Id => "id",
            By::Name => "name_key",
            By::Category => "category_key",
            By::Sku => "sku_key",
            By::CreateTime => "create_time",
            By::UpdateTime => "update_time",
        }
    }
}

fn push_value<DB: sqlx::Database>(sql: &mut QueryBuilder<DB>, value: &Value)
where
    String: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
{
    match value {
        Value::Text(text) => sql.push_bind(text.clone()),
        Value::Moment(micros) => sql.push_bind(*micros),
        Value::Nothing => sql.push("id"),
    };
}
