//! The ledger's statements: taking the catalogue, loading what writes are about, storing what came of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder};

use crate::error::Error;
use crate::ledger::{Clock, Effects, Ledger, Present};
use crate::product::Product;
use crate::store::categories;
use crate::store::connection::{Connection, on_either};
use crate::store::failure::Failure;
use crate::store::rows::{PresentRow, ProductRow, padded, product_columns, slices};
use crate::text::fold;
use crate::write::Step;

#[derive(FromRow)]
struct ClockRow {
    last_id: i64,
    last_sequence: i64,
    live_products: i64,
}

/// Takes the catalogue for this transaction: whoever else writes waits until it ends.
///
/// So writes of all processes happen one after the other, and the order in which they
/// are numbered is that in which they are committed.
pub(super) async fn open(now: Timestamp, on: &mut Connection<'_>) -> Result<Ledger, Failure> {
    const TAKE: &str = "UPDATE catalogue SET last_id = last_id WHERE id = 1
        RETURNING last_id, last_sequence, live_products";

    let row: ClockRow = on_either!(on, |c| sqlx::query_as(TAKE).fetch_one(c).await?);
    let ClockRow { last_id, last_sequence, live_products } = row;
    Ok(Ledger::new(Clock { last_id, last_sequence, live_products }, now))
}

/// Loads what steps are about.
pub(super) async fn load(ledger: &mut Ledger, steps: &[&Step], on: &mut Connection<'_>) -> Result<(), Failure> {
    let ids: BTreeSet<i64> = steps.iter().filter_map(|step| step.id()).collect();
    for present in by_id(&ids.into_iter().collect::<Vec<_>>(), on).await? {
        ledger.load(present);
    }
    let said = steps.iter().filter_map(|step| step.earlier());
    let earlier: BTreeMap<(i64, i64), Option<&Product>> =
        said.map(|(id, version, said)| ((id, version), said)).collect();
    for ((id, version), said) in earlier {
        if let Some(product) = earlier_version(id, version, on).await?.or_else(|| said.cloned()) {
            ledger.load_earlier(product);
        }
    }
    let keys: BTreeSet<String> = ledger.sku_keys(steps.iter().copied()).into_iter().collect();
    load_holders(ledger, &keys.into_iter().collect::<Vec<_>>(), on).await
}

/// Loads the products that have these SKUs and are not deleted.
pub(super) async fn load_holders(
    ledger: &mut Ledger,
    sku_keys: &[String],
    on: &mut Connection<'_>,
) -> Result<(), Failure> {
    for keys in padded(sku_keys) {
        let rows: Vec<PresentRow> = on_either!(on, |c| {
            let mut sql = QueryBuilder::new(concat!(
                "SELECT ",
                product_columns!(),
                ", change_kind, actor, call_id FROM products WHERE delete_time IS NULL AND sku_key IN ("
            ));
            let mut list = sql.separated(", ");
            for key in &keys {
                list.push_bind(key);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(c).await?
        });
        rows.into_iter().map(Present::from).for_each(|present| ledger.load(present));
    }
    Ok(())
}

/// The products that have these ids, deleted ones too.
pub(super) async fn by_id(ids: &[i64], on: &mut Connection<'_>) -> Result<Vec<Present>, Failure> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in padded(ids) {
        let rows: Vec<PresentRow> = on_either!(on, |c| {
            let mut sql = QueryBuilder::new(concat!(
                "SELECT ",
                product_columns!(),
                ", change_kind, actor, call_id FROM products WHERE id IN ("
            ));
            let mut list = sql.separated(", ");
            for id in &ids {
                list.push_bind(id);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(Present::from));
    }
    Ok(found)
}

async fn earlier_version(id: i64, version: i64, on: &mut Connection<'_>) -> Result<Option<Product>, Failure> {
    const FIND: &str = "SELECT product_id AS id, name, category, sku, version, create_time, update_time, delete_time
        FROM product_versions
        WHERE product_id = $1 AND version = $2";

    let row: Option<ProductRow> =
        on_either!(on, |c| sqlx::query_as(FIND).bind(id).bind(version).fetch_optional(c).await?);
    Ok(row.map(Product::from))
}

/// Stores what came of a ledger.
pub(super) async fn close(ledger: Ledger, now: Timestamp, on: &mut Connection<'_>) -> Result<(), Failure> {
    let (effects, mut products, clock) = ledger.close();
    // Adopted products are no events, and purged ones are no products.
    if effects.events.is_empty() && effects.before.is_empty() {
        return Ok(());
    }
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for (id, before) in &effects.before {
        let Some(present) = products.remove(id) else { continue };
        match before {
            None => new.push(present),
            Some(_) => changed.push(present),
        }
    }
    insert_versions(&effects, on).await?;
    part_from_skus(&effects, &new, &changed, on).await?;
    insert_products(&new, on).await?;
    update_products(&changed, on).await?;
    categories::count(&effects, &new, &changed, on).await?;
    insert_changes(&effects, now, on).await?;
    store_clock(clock, on).await
}

/// Takes products out of the index of SKUs whose SKU another one gets in the same
/// transaction: databases check each row of a statement, not its end.
async fn part_from_skus(
    effects: &Effects,
    new: &[Present],
    changed: &[Present],
    on: &mut Connection<'_>,
) -> Result<(), Failure> {
    const PART: &str = "UPDATE products SET delete_time = update_time WHERE id = $1";

    let live = |product: &Product| product.delete_time.is_none().then(|| fold(&product.sku));
    let mut parting: Vec<(i64, String)> = Vec::new();
    let mut given: HashSet<String> = new.iter().filter_map(|present| live(&present.product)).collect();
    for present in changed {
        let (before, after) =
            (effects.before.get(&present.product.id).and_then(Option::as_ref).and_then(live), live(&present.product));
        if before != after {
            parting.extend(before.map(|key| (present.product.id, key)));
            given.extend(after);
        }
    }
    for (id, _) in parting.iter().filter(|(_, key)| given.contains(key)) {
        on_either!(on, |c| {
            sqlx::query(PART).bind(id).execute(c).await?;
        });
    }
    Ok(())
}

async fn insert_products(new: &[Present], on: &mut Connection<'_>) -> Result<(), Failure> {
    for slice in slices(new) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO products (id, name, category, sku, name_key, category_key, sku_key,
                version, create_time, update_time, delete_time, change_kind, actor, call_id) ",
            );
            sql.push_values(slice, |mut values, Present { product, origin }| {
                values.push_bind(product.id).push_bind(&product.name).push_bind(&product.category);
                values.push_bind(&product.sku).push_bind(fold(&product.name)).push_bind(fold(&product.category));
                values.push_bind(fold(&product.sku)).push_bind(product.version);
                values.push_bind(product.create_time.as_microsecond()).push_bind(product.update_time.as_microsecond());
                values.push_bind(product.delete_time.map(Timestamp::as_microsecond)).push_bind(origin.kind.code());
                values.push_bind(&origin.author.name).push_bind(&origin.author.call_id);
            });
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}

async fn update_products(changed: &[Present], on: &mut Connection<'_>) -> Result<(), Failure> {
    for slice in slices(changed) {
        let stored = on_either!(on, |c| {
            // Both databases call the columns of VALUES column1, column2 and so on.
            let mut sql = QueryBuilder::new(
                "UPDATE products
                SET name = changed.column2, category = changed.column3, sku = changed.column4,
                    name_key = changed.column5, category_key = changed.column6, sku_key = changed.column7,
                    version = changed.column8, update_time = changed.column9, delete_time = changed.column10,
                    change_kind = changed.column11, actor = changed.column12, call_id = changed.column13
                FROM (",
            );
            sql.push_values(slice, |mut values, Present { product, origin }| {
                values.push_bind(product.id).push_bind(&product.name).push_bind(&product.category);
                values.push_bind(&product.sku).push_bind(fold(&product.name)).push_bind(fold(&product.category));
                values.push_bind(fold(&product.sku)).push_bind(product.version);
                values.push_bind(product.update_time.as_microsecond());
                values.push_bind(product.delete_time.map(Timestamp::as_microsecond)).push_bind(origin.kind.code());
                values.push_bind(&origin.author.name).push_bind(&origin.author.call_id);
            });
            sql.push(") AS changed WHERE products.id = changed.column1");
            sql.build().execute(c).await?.rows_affected()
        });
        if stored != slice.len() as u64 {
            return Err(Error::Internal(format!("{stored} products were changed instead of {}", slice.len())).into());
        }
    }
    Ok(())
}

async fn insert_versions(effects: &Effects, on: &mut Connection<'_>) -> Result<(), Failure> {
    for slice in slices(&effects.versions) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO product_versions (product_id, version, name, category, sku, create_time, update_time,
                delete_time, end_time, change_kind, actor, call_id) ",
            );
            sql.push_values(slice, |mut values, version| {
                let (product, origin) = (&version.product, &version.origin);
                values.push_bind(product.id).push_bind(product.version).push_bind(&product.name);
                values.push_bind(&product.category).push_bind(&product.sku);
                values.push_bind(product.create_time.as_microsecond()).push_bind(product.update_time.as_microsecond());
                values.push_bind(product.delete_time.map(Timestamp::as_microsecond));
                values.push_bind(version.end_time.map(Timestamp::as_microsecond)).push_bind(origin.kind.code());
                values.push_bind(&origin.author.name).push_bind(&origin.author.call_id);
            });
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}

async fn insert_changes(effects: &Effects, now: Timestamp, on: &mut Connection<'_>) -> Result<(), Failure> {
    for slice in slices(&effects.events) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO product_changes (sequence, product_id, version, change_kind, change_time) ",
            );
            sql.push_values(slice, |mut values, event| {
                values.push_bind(event.sequence).push_bind(event.product_id).push_bind(event.version);
                values.push_bind(event.kind.code()).push_bind(now.as_microsecond());
            });
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}

async fn store_clock(clock: Clock, on: &mut Connection<'_>) -> Result<(), Failure> {
    const STORE: &str = "UPDATE catalogue SET last_id = $1, last_sequence = $2, live_products = $3 WHERE id = 1";

    on_either!(on, |c| {
        let store = sqlx::query(STORE).bind(clock.last_id).bind(clock.last_sequence).bind(clock.live_products);
        store.execute(c).await?;
    });
    Ok(())
}
