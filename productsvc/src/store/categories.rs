//! The statements of categories: counting, listing, and who is in one.

use sqlx::{FromRow, QueryBuilder};
use tokio::time::Instant;

use crate::category::{Category, Counted, Delta, Deltas, parent};
use crate::error::Error;
use crate::ledger::{Effects, Present};
use crate::product::Product;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::requests::{Claim, RequestKey, claim, record};
use crate::store::rows::slices;
use crate::store::{ProductStore, books, now};

impl ProductStore {
    /// The categories directly below one, or all below it, behind a key, by their keys;
    /// each with its key. Without a parent the first level.
    pub async fn categories(
        &self,
        below: &Below<'_>,
        after: &str,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<(String, Counted)>, Error> {
        self.database.read(&FindBelow { below, after, limit }, deadline).await
    }

    /// One category, when there is a product in it or below it.
    pub async fn category(&self, path: &Category, deadline: Instant) -> Result<Option<Counted>, Error> {
        self.database.read(&FindCategory { path }, deadline).await
    }

    /// Begins a rename, or says how far it is when it began before.
    pub async fn begin_rename(&self, key: &RequestKey, deadline: Instant) -> Result<Begun, Error> {
        self.database.write(&BeginRename { key }, deadline).await
    }

    /// Notes that a rename ended.
    pub async fn end_rename(&self, key: &RequestKey, renamed: i64, deadline: Instant) -> Result<(), Error> {
        self.database.write(&EndRename { key, renamed }, deadline).await
    }

    /// Shows a category, and those below it, with another spelling of the same key.
    pub async fn respell(&self, from: &Category, to: &Category, deadline: Instant) -> Result<(), Error> {
        self.database.write(&Respell { from, to }, deadline).await
    }

    /// Counts the categories of products that were there before these were counted.
    pub(super) async fn count_categories(&self, deadline: Instant) -> Result<(), Error> {
        // Hardly ever: who looks first need not wait for those who write.
        match self.database.read(&AreCounted, deadline).await? {
            true => Ok(()),
            false => self.database.write(&CountAll, deadline).await,
        }
    }
}

/// How far a rename is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It was never asked for.
    New,
    /// It broke off.
    Unfinished,
    /// It ended.
    Done {
        /// So many products were renamed.
        renamed: i64,
    },
}

/// Which categories are listed.
#[derive(Debug, Clone, Copy)]
pub enum Below<'a> {
    /// Those directly below this key, which is empty for the first level.
    Directly(&'a str),
    /// All below this key.
    Anywhere(&'a str),
}

/// Notes how the counts change with what was written.
pub(super) async fn count(
    effects: &Effects,
    new: &[Present],
    changed: &[Present],
    on: &mut Connection<'_>,
) -> Result<(), Failure> {
    let mut deltas = Deltas::default();
    let live = |product: &Product| product.delete_time.is_none();
    for present in new.iter().chain(changed).filter(|present| live(&present.product)) {
        deltas.count(&present.product.category, 1);
    }
    for present in changed {
        if let Some(Some(before)) = effects.before.get(&present.product.id)
            && live(before)
        {
            deltas.count(&before.category, -1);
        }
    }
    add(deltas, on).await
}

async fn add(deltas: Deltas, on: &mut Connection<'_>) -> Result<(), Failure> {
    let changes: Vec<(String, Delta)> = deltas.changes().collect();
    for slice in slices(&changes) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO categories (path_key, parent_key, path, direct_products, total_products) ",
            );
            sql.push_values(slice, |mut values, (key, delta)| {
                values.push_bind(key).push_bind(parent(key).unwrap_or_default()).push_bind(&delta.path);
                values.push_bind(delta.direct).push_bind(delta.total);
            });
            sql.push(
                " ON CONFLICT (path_key) DO UPDATE
                SET direct_products = categories.direct_products + excluded.direct_products,
                    total_products = categories.total_products + excluded.total_products",
            );
            sql.build().execute(c).await?;
        });
    }
    let lessened: Vec<&String> = changes.iter().filter(|(_, delta)| delta.total < 0).map(|(key, _)| key).collect();
    for slice in slices(&lessened) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new("DELETE FROM categories WHERE total_products = 0 AND path_key IN (");
            let mut list = sql.separated(", ");
            for key in slice {
                list.push_bind(*key);
            }
            sql.push(")");
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}

struct AreCounted;

impl Work for AreCounted {
    type Answer = bool;

    async fn run(&self, on: &mut Connection<'_>) -> Result<bool, Failure> {
        const COUNTED: &str = "SELECT categories_counted FROM catalogue WHERE id = 1";

        let counted: i64 = on_either!(on, |c| sqlx::query_scalar(COUNTED).fetch_one(c).await?);
        Ok(counted != 0)
    }
}

struct CountAll;

impl Work for CountAll {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const FORGET: &str = "DELETE FROM categories";
        const FIND: &str = "SELECT category, COUNT(*) AS products
            FROM products
            WHERE delete_time IS NULL
            GROUP BY category
            ORDER BY MIN(id)";
        const NOTE: &str = "UPDATE catalogue SET categories_counted = 1 WHERE id = 1";

        // Whoever has the catalogue is alone: nobody writes meanwhile, nobody counts twice.
        books::open(now(), on).await?;
        if AreCounted.run(on).await? {
            return Ok(());
        }
        on_either!(on, |c| {
            sqlx::query(FORGET).execute(c).await?;
        });
        let categories: Vec<(String, i64)> = on_either!(on, |c| sqlx::query_as(FIND).fetch_all(c).await?);
        let mut deltas = Deltas::default();
        categories.iter().for_each(|(path, products)| deltas.count(path, *products));
        add(deltas, on).await?;
        on_either!(on, |c| {
            sqlx::query(NOTE).execute(c).await?;
        });
        Ok(())
    }
}

#[derive(FromRow)]
struct CategoryRow {
    path_key: String,
    path: String,
    direct_products: i64,
    total_products: i64,
    has_children: bool,
}

impl From<CategoryRow> for Counted {
    fn from(row: CategoryRow) -> Self {
        let CategoryRow { path, direct_products: direct, total_products: total, has_children, .. } = row;
        Self { path, direct, total, has_children }
    }
}

macro_rules! columns {
    () => {
        "SELECT c.path_key, c.path, c.direct_products, c.total_products,
            EXISTS (SELECT 1 FROM categories AS child WHERE child.parent_key = c.path_key) AS has_children
        FROM categories AS c "
    };
}

struct FindBelow<'a> {
    below: &'a Below<'a>,
    after: &'a str,
    limit: usize,
}

impl Work for FindBelow<'_> {
    type Answer = Vec<(String, Counted)>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Self::Answer, Failure> {
        const DIRECTLY: &str =
            concat!(columns!(), "WHERE c.parent_key = $1 AND c.path_key > $2 ORDER BY c.path_key LIMIT $3");
        // Levels of a path stay together: none of them has a character before `/` alone.
        const ANYWHERE: &str =
            concat!(columns!(), "WHERE c.path_key > $1 AND c.path_key < $2 ORDER BY c.path_key LIMIT $3");

        let limit = self.limit as i64;
        let rows: Vec<CategoryRow> = match self.below {
            Below::Directly(parent) => on_either!(on, |c| {
                sqlx::query_as(DIRECTLY).bind(*parent).bind(self.after).bind(limit).fetch_all(c).await?
            }),
            Below::Anywhere(above) => {
                let (begin, end) = range(above);
                let begin = begin.max(self.after.to_owned());
                on_either!(on, |c| sqlx::query_as(ANYWHERE).bind(begin).bind(end).bind(limit).fetch_all(c).await?)
            }
        };
        Ok(rows.into_iter().map(|row| (row.path_key.clone(), row.into())).collect())
    }
}

/// Between which keys all below a category are: `/` is followed by `0`.
fn range(above: &str) -> (String, String) {
    match above {
        "" => (String::new(), "\u{10ffff}".to_owned()),
        above => (format!("{above}/"), format!("{above}0")),
    }
}

struct FindCategory<'a> {
    path: &'a Category,
}

impl Work for FindCategory<'_> {
    type Answer = Option<Counted>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Counted>, Failure> {
        const FIND: &str = concat!(columns!(), "WHERE c.path_key = $1");

        let row: Option<CategoryRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.path.key()).fetch_optional(c).await?);
        Ok(row.map(Counted::from))
    }
}

struct BeginRename<'a> {
    key: &'a RequestKey,
}

impl Work for BeginRename<'_> {
    type Answer = Begun;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Begun, Failure> {
        match claim(self.key, now(), on).await? {
            Claim::New => Ok(Begun::New),
            Claim::Answered(response) if response.is_empty() => Ok(Begun::Unfinished),
            Claim::Answered(response) => {
                let renamed = <[u8; 8]>::try_from(response).map(i64::from_be_bytes);
                let renamed = renamed.map_err(|_| Error::Internal("the answer of a rename is no count".to_owned()))?;
                Ok(Begun::Done { renamed })
            }
        }
    }
}

struct EndRename<'a> {
    key: &'a RequestKey,
    renamed: i64,
}

impl Work for EndRename<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        record(self.key, self.renamed.to_be_bytes().to_vec(), on).await
    }
}

struct Respell<'a> {
    from: &'a Category,
    to: &'a Category,
}

impl Work for Respell<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const FIND: &str = "SELECT path_key, path
            FROM categories
            WHERE path_key = $1 OR (path_key > $2 AND path_key < $3)";
        const SPELL: &str = "UPDATE categories SET path = $2 WHERE path_key = $1";

        let (begin, end) = range(self.from.key());
        let rows: Vec<(String, String)> = on_either!(on, |c| {
            sqlx::query_as(FIND).bind(self.from.key()).bind(begin).bind(end).fetch_all(c).await?
        });
        for (key, path) in rows {
            let Some(path) = Category::moved(&path, self.from, self.to) else { continue };
            on_either!(on, |c| {
                sqlx::query(SPELL).bind(key).bind(path).execute(c).await?;
            });
        }
        Ok(())
    }
}
