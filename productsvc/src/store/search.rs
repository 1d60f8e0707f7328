//! The statements of searches: what proposes products, and how far that is.

pub(super) mod filling;

use std::collections::HashMap;

use sqlx::{FromRow, QueryBuilder};
use tokio::time::Instant;

use crate::error::Error;
use crate::product::Product;
use crate::search::fold::Searchable;
use crate::search::postings::Postings;
use crate::search::tail::{Recent, State};
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::rows::padded;
use crate::store::{ProductStore, books};

impl ProductStore {
    /// How far the search index and the catalogue are.
    pub async fn search_state(&self, deadline: Instant) -> Result<State, Error> {
        self.database.read(&FindState, deadline).await
    }

    /// The changes behind a sequence, with what their products say now.
    pub async fn recent(&self, after: i64, limit: usize, deadline: Instant) -> Result<Vec<Recent>, Error> {
        self.database.read(&FindRecent { after, limit }, deadline).await
    }

    /// The lists of these grams in these blocks, where there are any.
    pub async fn postings(
        &self,
        blocks: &[i64],
        grams: &[i32],
        deadline: Instant,
    ) -> Result<HashMap<(i64, i32), Postings>, Error> {
        self.database.read(&FindPostings { blocks, grams }, deadline).await
    }

    /// The products of these ids that are there and not deleted, in this order.
    pub async fn live(&self, ids: &[i64], deadline: Instant) -> Result<Vec<Product>, Error> {
        self.database.read(&FindLive { ids }, deadline).await
    }

    /// What those of some products say that are not deleted.
    pub async fn texts_of(&self, ids: &[i64], deadline: Instant) -> Result<Vec<(i64, Searchable)>, Error> {
        self.database.read(&FindTextsOf { ids }, deadline).await
    }

    /// What products say that are not deleted, behind an id and before another one.
    pub async fn texts(
        &self,
        after: i64,
        end: i64,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<(i64, Searchable)>, Error> {
        self.database.read(&FindTexts { after, end, limit }, deadline).await
    }

    /// The known words that share a form with a word.
    pub async fn words_like(&self, forms: &[String], deadline: Instant) -> Result<Vec<String>, Error> {
        self.database.read(&FindWords { forms }, deadline).await
    }
}

struct FindState;

impl Work for FindState {
    type Answer = State;

    async fn run(&self, on: &mut Connection<'_>) -> Result<State, Failure> {
        const FIND: &str = "SELECT s.indexed_sequence, s.built_from, c.last_sequence, c.last_id
            FROM search_state s JOIN catalogue c ON c.id = s.id
            WHERE s.id = 1";

        let (indexed_sequence, built_from, last_sequence, last_id) =
            on_either!(on, |c| sqlx::query_as::<_, (i64, i64, i64, i64)>(FIND).fetch_one(c).await?);
        Ok(State { indexed_sequence, built_from, last_sequence, last_id })
    }
}

#[derive(FromRow)]
struct RecentRow {
    sequence: i64,
    product_id: i64,
    name: Option<String>,
    category: Option<String>,
    sku: Option<String>,
}

impl From<RecentRow> for Recent {
    fn from(row: RecentRow) -> Self {
        let texts = match (row.name, row.category, row.sku) {
            (Some(name), Some(category), Some(sku)) => Some(Searchable::new(&name, &category, &sku)),
            _ => None,
        };
        Self { sequence: row.sequence, product_id: row.product_id, texts }
    }
}

struct FindRecent {
    after: i64,
    limit: usize,
}

impl Work for FindRecent {
    type Answer = Vec<Recent>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Recent>, Failure> {
        const FIND: &str = "SELECT c.sequence, c.product_id, p.name, p.category, p.sku
            FROM (SELECT sequence, product_id
                FROM product_changes
                WHERE sequence > $1
                ORDER BY sequence
                LIMIT $2) AS c
            LEFT JOIN products p ON p.id = c.product_id AND p.delete_time IS NULL
            ORDER BY c.sequence";

        let rows: Vec<RecentRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.after).bind(self.limit as i64).fetch_all(c).await?);
        Ok(rows.into_iter().map(Recent::from).collect())
    }
}

struct FindPostings<'a> {
    blocks: &'a [i64],
    grams: &'a [i32],
}

impl Work for FindPostings<'_> {
    type Answer = HashMap<(i64, i32), Postings>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Self::Answer, Failure> {
        let mut found = HashMap::new();
        for blocks in padded(self.blocks) {
            for grams in padded(self.grams) {
                let rows: Vec<(i64, i32, Vec<u8>)> = on_either!(on, |c| {
                    let mut sql = QueryBuilder::new("SELECT block, gram, ids FROM search_postings WHERE gram IN (");
                    let mut list = sql.separated(", ");
                    for gram in &grams {
                        list.push_bind(gram);
                    }
                    sql.push(") AND block IN (");
                    let mut list = sql.separated(", ");
                    for block in &blocks {
                        list.push_bind(block);
                    }
                    sql.push(")");
                    sql.build_query_as().fetch_all(c).await?
                });
                for (block, gram, ids) in rows {
                    found.insert((block, gram), decode(block, gram, &ids)?);
                }
            }
        }
        Ok(found)
    }
}

fn decode(block: i64, gram: i32, ids: &[u8]) -> Result<Postings, Error> {
    let damaged =
        || Error::Internal(format!("the list of gram {gram} in block {block} of the search index is damaged"));
    Postings::decode(ids).ok_or_else(damaged)
}

struct FindLive<'a> {
    ids: &'a [i64],
}

impl Work for FindLive<'_> {
    type Answer = Vec<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Product>, Failure> {
        let found = books::by_id(self.ids, on).await?.into_iter().map(|present| (present.product.id, present.product));
        let mut found: HashMap<i64, Product> = found.collect();
        let in_order = self.ids.iter().filter_map(|id| found.remove(id));
        Ok(in_order.filter(|product| product.delete_time.is_none()).collect())
    }
}

struct FindTexts {
    after: i64,
    end: i64,
    limit: usize,
}

impl Work for FindTexts {
    type Answer = Vec<(i64, Searchable)>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Self::Answer, Failure> {
        const FIND: &str = "SELECT id, name, category, sku
            FROM products
            WHERE id > $1 AND id < $2 AND delete_time IS NULL
            ORDER BY id
            LIMIT $3";

        let rows: Vec<(i64, String, String, String)> = on_either!(on, |c| {
            let find = sqlx::query_as(FIND).bind(self.after).bind(self.end).bind(self.limit as i64);
            find.fetch_all(c).await?
        });
        Ok(rows.into_iter().map(texts).collect())
    }
}

fn texts((id, name, category, sku): (i64, String, String, String)) -> (i64, Searchable) {
    (id, Searchable::new(&name, &category, &sku))
}

struct FindTextsOf<'a> {
    ids: &'a [i64],
}

impl Work for FindTextsOf<'_> {
    type Answer = Vec<(i64, Searchable)>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Self::Answer, Failure> {
        let mut found = Vec::with_capacity(self.ids.len());
        for ids in padded(self.ids) {
            let rows: Vec<(i64, String, String, String)> = on_either!(on, |c| {
                let mut sql = QueryBuilder::new("SELECT id, name, category, sku FROM products WHERE id IN (");
                let mut list = sql.separated(", ");
                for id in &ids {
                    list.push_bind(id);
                }
                sql.push(") AND delete_time IS NULL");
                sql.build_query_as().fetch_all(c).await?
            });
            found.extend(rows.into_iter().map(texts));
        }
        Ok(found)
    }
}

struct FindWords<'a> {
    forms: &'a [String],
}

impl Work for FindWords<'_> {
    type Answer = Vec<String>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<String>, Failure> {
        let mut words = Vec::new();
        for forms in padded(self.forms) {
            let rows: Vec<String> = on_either!(on, |c| {
                let mut sql = QueryBuilder::new("SELECT DISTINCT word FROM search_words WHERE form IN (");
                let mut list = sql.separated(", ");
                for form in &forms {
                    list.push_bind(form);
                }
                sql.push(")");
                sql.build_query_scalar().fetch_all(c).await?
            });
            words.extend(rows);
        }
        Ok(words)
    }
}
