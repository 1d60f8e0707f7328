//! The search index against the products: whoever has a gram must be on its list.
//!
//! Lists may have more than that, since they only grow. What changed behind the index, and
//! blocks that are still to be built, are searched otherwise.

use std::collections::BTreeSet;

use tokio_stream::StreamExt as _;

use crate::search::fold::Searchable;
use crate::search::grams::grams;
use crate::search::postings::{BLOCK_BITS, Postings};
use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};

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
    for block in state.built_from..=(state.last_id >> BLOCK_BITS) {
        check_block(block, &state, on, findings).await?;
    }
    Ok(())
}

async fn check_block(
    block: i64,
    state: &State,
    on: &mut Connection<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), sqlx::Error> {
    const LISTS: &str = "SELECT gram, ids FROM search_postings WHERE block = $1 ORDER BY gram";

    let wanted = wanted(block, state, on, findings).await?;
    let mut wanted = wanted.into_iter().peekable();
    let mut missing = BTreeSet::new();
    on_either!(on, |c| {
        let mut lists = sqlx::query_as::<_, (i32, Vec<u8>)>(LISTS).bind(block).fetch(c);
        while let Some((gram, ids)) = lists.try_next().await? {
            let Some(mut list) = Postings::decode(&ids) else {
                findings.tell(&format!("search: the list of gram {gram} in block {block} is damaged"));
                continue;
            };
            while let Some((wanted_gram, id)) = wanted.next_if(|(wanted_gram, _)| *wanted_gram <= gram) {
                if wanted_gram < gram || list.insert(id.into()) {
                    missing.insert(id);
                }
            }
        }
    });
    missing.extend(wanted.map(|(_, id)| id));
    for id in missing {
        let id = (block << BLOCK_BITS) + i64::from(id);
        findings.tell(&format!("search: product {id} is not found by all that it says"));
    }
    Ok(())
}

/// Who must be on which list of a block: grams, and the places of ids in it, in order.
async fn wanted(
    block: i64,
    state: &State,
    on: &mut Connection<'_>,
    findings: &mut Findings<'_>,
) -> Result<Vec<(i32, u16)>, sqlx::Error> {
    const CHANGED: &str = "SELECT product_id
        FROM product_changes
        WHERE sequence > $1 AND product_id >= $2 AND product_id < $3";
    const PRODUCTS: &str = "SELECT id, name, category, sku
        FROM products
        WHERE id >= $1 AND id < $2 AND delete_time IS NULL
        ORDER BY id";

    let (begin, end) = (block << BLOCK_BITS, (block + 1) << BLOCK_BITS);
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
                let place = u16::try_from(id - begin).unwrap_or_default();
                wanted.extend(grams(&Searchable::new(&name, &category, &sku)).into_iter().map(|gram| (gram, place)));
            }
        }
    });
    wanted.sort_unstable();
    Ok(wanted)
}
