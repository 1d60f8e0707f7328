//! The search index against the products: whoever has a gram must be on its list.
//!
//! Lists may have more than that, since they only grow. What changed behind the index, and
//! blocks that are still to be built, are searched otherwise.

use std::collections::{BTreeSet, HashMap};

use sqlx::QueryBuilder;
use tokio_stream::StreamExt as _;

use crate::search::fold::Searchable;
use crate::search::grams::grams;
use crate::search::postings::{BLOCK_BITS, Postings, block};
use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};
use crate::store::rows::padded;

/// How far the index is.
struct State {
    indexed: i64,
    built_from: i64,
    last_id: i64,
}

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const STATE: &str = "SELECT indexed_sequence, built_from, last_id, last_sequence
        FROM search_state, catalogue
        WHERE search_state.id = 1 AND catalogue.id = 1";

    let found: Option<(i64, i64, i64, i64)> = on_either!(on, |c| sqlx::query_as(STATE).fetch_optional(c).await?);
    let Some((indexed, built_from, last_id, last_sequence)) = found else {
        findings.tell("search: nothing says how far the index is");
        return Ok(());
    };
    if indexed > last_sequence {
        findings.tell(&format!("search: the index is at sequence {indexed}, behind the last one, {last_sequence}"));
    }
    let state = State { indexed, built_from: built_from.max(0), last_id };
    let mut begin = state.built_from << BLOCK_BITS;
    while begin <= state.last_id {
        check_part(begin, &state, on, findings).await?;
        begin += PART;
    }
    Ok(())
}

/// Ids of a block that are checked at once: all that their products say is in memory.
const PART: i64 = 1 << 14;

/// Lists that are read at once.
const AT_ONCE: usize = 128;

async fn check_part(
    begin: i64,
    state: &State,
    on: &mut Connection<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), sqlx::Error> {
    let wanted = wanted(begin, state, on, findings).await?;
    let by_gram: Vec<&[(i32, i64)]> = wanted.chunk_by(|(one, _), (other, _)| one == other).collect();
    let mut missing = BTreeSet::new();
    for piece in by_gram.chunks(AT_ONCE) {
        let grams: Vec<i32> = piece.iter().map(|wanted| wanted[0].0).collect();
        let mut lists = lists(block(begin), &grams, on, findings).await?;
        for (gram, wanted) in grams.iter().zip(piece) {
            let mut list = lists.remove(gram).unwrap_or_default();
            missing.extend(wanted.iter().map(|(_, id)| *id).filter(|id| list.insert(*id)));
        }
    }
    for id in missing {
        findings.tell(&format!("search: product {id} is not found by all that it says"));
    }
    Ok(())
}

async fn lists(
    block: i64,
    grams: &[i32],
    on: &mut Connection<'_>,
    findings: &mut Findings<'_>,
) -> Result<HashMap<i32, Postings>, sqlx::Error> {
    let mut lists = HashMap::with_capacity(grams.len());
    for grams in padded(grams) {
        let rows: Vec<(i32, Vec<u8>)> = on_either!(on, |c| {
            let mut sql = QueryBuilder::new("SELECT gram, ids FROM search_postings WHERE block = ");
            sql.push_bind(block).push(" AND gram IN (");
            let mut list = sql.separated(", ");
            for gram in &grams {
                list.push_bind(gram);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(c).await?
        });
        for (gram, ids) in rows {
            match Postings::decode(&ids) {
                Some(list) => _ = lists.insert(gram, list),
                None => findings.tell(&format!("search: the list of gram {gram} in block {block} is damaged")),
            }
        }
    }
    Ok(lists)
}

/// Who must be on which list: grams and ids from one on, in order.
async fn wanted(
    begin: i64,
    state: &State,
    on: &mut Connection<'_>,
    findings: &mut Findings<'_>,
) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    const CHANGED: &str = "SELECT product_id
        FROM product_changes
        WHERE sequence > $1 AND product_id >= $2 AND product_id < $3";
    const PRODUCTS: &str = "SELECT id, name, category, sku
        FROM products
        WHERE id >= $1 AND id < $2 AND delete_time IS NULL
        ORDER BY id";

    let end = begin + PART;
    let changed: Vec<i64> = on_either!(on, |c| {
        sqlx::query_scalar(CHANGED).bind(state.indexed).bind(begin).bind(end).fetch_all(c).await?
    });
    let changed: BTreeSet<i64> = changed.into_iter().collect();
    let mut wanted = Vec::new();
    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, (i64, String, String, String)>(PRODUCTS).bind(begin).bind(end).fetch(c);
        while let Some((id, name, category, sku)) = rows.try_next().await? {
            findings.advance();
            if !changed.contains(&id) {
                wanted.extend(grams(&Searchable::new(&name, &category, &sku)).into_iter().map(|gram| (gram, id)));
            }
        }
    });
    wanted.sort_unstable();
    Ok(wanted)
}
