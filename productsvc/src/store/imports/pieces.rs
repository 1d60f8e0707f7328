//! The statements that store a piece of an import.
//!
//! A piece of some hundred rows is one transaction of a few statements, whatever
//! its rows are. The job's mark moves in it, from where the stream found it: this
//! is what makes an import store each row once, however often it breaks off, and
//! what tells a second stream of the same import that it is second.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder};

use crate::error::Error;
use crate::import::{GoodRow, Job, Mode, Piece, Reason, Refused};
use crate::store::Rules;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::imports::{JobRow, columns, refuse_used_catalogue};

/// Stores a piece of an import, and moves its mark.
pub(in crate::store) struct Store<'a> {
    pub(in crate::store) job: &'a Job,
    pub(in crate::store) piece: &'a Piece,
    pub(in crate::store) rules: Rules,
    pub(in crate::store) now: Timestamp,
}

impl Work for Store<'_> {
    type Answer = Job;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Job, Failure> {
        self.move_mark(on).await?;
        if self.rules.only_if_new && self.job.mark == 0 {
            refuse_used_catalogue(on).await?;
        }
        let mut plan = self.plan(on).await?;
        let taken = self.insert(&plan.new, on).await?;
        if self.rules.mode == Mode::Upsert && !taken.is_empty() {
            // Someone added these SKUs just now: they have to be changed instead.
            return Err(Failure::Conflict);
        }
        plan.new.retain(|row| !taken.contains(row.draft.sku.key()));
        let late = self.piece.good.iter().filter(|row| taken.contains(row.draft.sku.key()));
        plan.refused.extend(late.map(|row| row.refused(Reason::SkuTaken, "another product has this SKU".to_owned())));
        self.update(&plan.changed, on).await?;

        plan.refused.extend(self.piece.refused.iter().cloned());
        insert_refused(self.job.id, &plan.refused, on).await?;
        self.count(&plan, on).await
    }
}

/// What to do with the rows of a piece.
#[derive(Default)]
struct Plan<'a> {
    new: Vec<&'a GoodRow>,
    changed: Vec<(Present, &'a GoodRow)>,
    unchanged: i64,
    refused: Vec<Refused>,
}

/// A product that has the SKU of a row.
#[derive(FromRow)]
struct Present {
    id: i64,
    name: String,
    category: String,
    sku: String,
    sku_key: String,
    version: i64,
}

impl Present {
    fn is(&self, row: &GoodRow) -> bool {
        let draft = &row.draft;
        self.name == draft.name.as_str() && self.category == draft.category.as_str() && self.sku == draft.sku.as_str()
    }
}

impl Store<'_> {
    /// Takes the job if it is still where we left it.
    async fn move_mark(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const MOVE: &str = "UPDATE import_jobs SET mark = $3 WHERE id = $1 AND mark = $2 AND end_time IS NULL";

        let mark = self.piece.last_line.max(self.job.mark);
        let moved = on_either!(on, |c| {
            let moving = sqlx::query(MOVE).bind(self.job.id).bind(self.job.mark).bind(mark);
            moving.execute(c).await?.rows_affected()
        });
        if moved == 1 { Ok(()) } else { Err(Error::ImportRunning.into()) }
    }

    async fn plan(&self, on: &mut Connection<'_>) -> Result<Plan<'_>, Failure> {
        let mut present = self.present(on).await?;
        let mut plan = Plan::default();
        for row in &self.piece.good {
            match (present.remove(row.draft.sku.key()), self.rules.mode) {
                (None, _) => plan.new.push(row),
                (Some(product), Mode::Create) => {
                    plan.refused.push(row.refused(Reason::SkuTaken, format!("product {} has this SKU", product.id)));
                }
                (Some(product), Mode::Upsert) if product.is(row) => plan.unchanged += 1,
                (Some(product), Mode::Upsert) => plan.changed.push((product, row)),
            }
        }
        Ok(plan)
    }

    /// The products that have the SKUs of the piece, by SKU key.
    async fn present(&self, on: &mut Connection<'_>) -> Result<HashMap<String, Present>, Failure> {
        if self.piece.good.is_empty() {
            return Ok(HashMap::new());
        }
        let present: Vec<Present> = on_either!(on, |c| {
            let mut sql = QueryBuilder::new(
                "SELECT id, name, category, sku, sku_key, version FROM products WHERE delete_time IS NULL AND sku_key IN (",
            );
            let mut keys = sql.separated(", ");
            for row in &self.piece.good {
                keys.push_bind(row.draft.sku.key());
            }
            sql.push(")");
            sql.build_query_as().fetch_all(c).await?
        });
        Ok(present.into_iter().map(|product| (product.sku_key.clone(), product)).collect())
    }

    /// Adds products, and answers the SKU keys that were taken just before.
    async fn insert<'r>(&self, rows: &[&'r GoodRow], on: &mut Connection<'_>) -> Result<HashSet<&'r str>, Failure> {
        if rows.is_empty() {
            return Ok(HashSet::new());
        }
        let now = self.now.as_microsecond();
        let added: Vec<String> = on_either!(on, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO products (name, category, sku, name_key, category_key, sku_key, version, create_time, update_time) ",
            );
            sql.push_values(rows, |mut values, row| {
                let draft = &row.draft;
                values.push_bind(draft.name.as_str()).push_bind(draft.category.as_str()).push_bind(draft.sku.as_str());
                values.push_bind(draft.name.key()).push_bind(draft.category.key()).push_bind(draft.sku.key());
                values.push("1").push_bind(now).push_bind(now);
            });
            sql.push(" ON CONFLICT (sku_key) WHERE delete_time IS NULL DO NOTHING RETURNING sku_key");
            sql.build_query_scalar().fetch_all(c).await?
        });
        let mut taken: HashSet<&str> = rows.iter().map(|row| row.draft.sku.key()).collect();
        for key in &added {
            taken.remove(key.as_str());
        }
        Ok(taken)
    }

    /// Changes products, all or none of them.
    async fn update(&self, rows: &[(Present, &GoodRow)], on: &mut Connection<'_>) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let now = self.now.as_microsecond();
        let changed = on_either!(on, |c| {
            // Both databases call the columns of VALUES column1, column2 and so on.
            let mut sql = QueryBuilder::new(
                "UPDATE products
                SET name = changed.column3, category = changed.column4, sku = changed.column5,
                    name_key = changed.column6, category_key = changed.column7,
                    version = changed.column2 + 1, update_time = ",
            );
            sql.push_bind(now).push(" FROM (");
            sql.push_values(rows, |mut values, (product, row)| {
                let draft = &row.draft;
                values.push_bind(product.id).push_bind(product.version);
                values.push_bind(draft.name.as_str()).push_bind(draft.category.as_str()).push_bind(draft.sku.as_str());
                values.push_bind(draft.name.key()).push_bind(draft.category.key());
            });
            sql.push(
                ") AS changed
                WHERE products.id = changed.column1 AND products.version = changed.column2 AND products.delete_time IS NULL",
            );
            sql.build().execute(c).await?.rows_affected()
        });
        // Someone changed one of them between our two statements.
        if changed == rows.len() as u64 { Ok(()) } else { Err(Failure::Conflict) }
    }

    async fn count(&self, plan: &Plan<'_>, on: &mut Connection<'_>) -> Result<Job, Failure> {
        const COUNT: &str = concat!(
            "UPDATE import_jobs
            SET total_rows = total_rows + $2, created_rows = created_rows + $3, updated_rows = updated_rows + $4,
                unchanged_rows = unchanged_rows + $5, refused_rows = refused_rows + $6, end_time = $7
            WHERE id = $1
            RETURNING ",
            columns!()
        );

        let end_time = self.rules.end.then(|| self.now.as_microsecond());
        let row: JobRow = on_either!(on, |c| {
            let count =
                sqlx::query_as(COUNT).bind(self.job.id).bind(self.piece.len() as i64).bind(plan.new.len() as i64);
            let count = count.bind(plan.changed.len() as i64).bind(plan.unchanged).bind(plan.refused.len() as i64);
            count.bind(end_time).fetch_one(c).await?
        });
        Ok(row.into())
    }
}

async fn insert_refused(job_id: i64, refused: &[Refused], on: &mut Connection<'_>) -> Result<(), Failure> {
    if refused.is_empty() {
        return Ok(());
    }
    on_either!(on, |c| {
        let mut sql = QueryBuilder::new(
            "INSERT INTO import_refusals (job_id, line, name, category, sku, field, reason, message) ",
        );
        sql.push_values(refused, |mut values, Refused { row, field, reason, message }| {
            values
                .push_bind(job_id)
                .push_bind(row.line)
                .push_bind(&row.name)
                .push_bind(&row.category)
                .push_bind(&row.sku);
            values.push_bind(field).push_bind(reason.as_str()).push_bind(message);
        });
        sql.build().execute(c).await?;
    });
    Ok(())
}
