//! Fills the search index behind the changes of the catalogue.
//!
//! One piece at a time, of thousands of changes, so that each list is written seldom; what
//! waits is searched in memory. Any product service may do it, and nothing is lost when
//! one ends in the middle: the next begins that piece again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::error::Error;
use crate::search::fold::Searchable;
use crate::search::grams::grams;
use crate::search::postings::{block, first};
use crate::search::suggest;
use crate::search::tail::State;
use crate::store::{Additions, ProductStore};

/// So many changes are worth a piece.
const ENOUGH: i64 = 8_192;

/// A piece has at most so many: they are in memory, and others want to write.
const MOST: usize = 16_384;

/// How often we look what others changed.
const PERIOD: Duration = Duration::from_millis(500);

/// Changes that are fewer wait at most so long.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A piece is in no hurry, but must not wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills the index whenever there is enough to add, until the process stops.
pub async fn index(products: ProductStore, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut indexer = Indexer { products, filled: Instant::now() };
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(Err(error)) = stopping.run_until_cancelled(indexer.catch_up()).await {
            warn!("could not fill the search index: {error}");
        }
    }
}

struct Indexer {
    products: ProductStore,
    /// When all changes were last in the index.
    filled: Instant,
}

impl Indexer {
    async fn catch_up(&mut self) -> Result<(), Error> {
        loop {
            let state = self.products.search_state(late()).await?;
            let waiting = state.last_sequence - state.indexed_sequence;
            if waiting == 0 {
                self.filled = Instant::now();
            }
            if waiting >= ENOUGH || waiting > 0 && self.filled.elapsed() >= LONGEST_WAIT {
                fill(&self.products, state).await?;
                self.filled = Instant::now();
            } else if state.built_from > 0 {
                build(&self.products, state).await?;
            } else {
                return Ok(());
            }
        }
    }
}

/// Adds the next changes to the index.
pub async fn fill(products: &ProductStore, state: State) -> Result<(), Error> {
    let recent = products.recent(state.indexed_sequence, MOST, late()).await?;
    let Some(last) = recent.last().map(|recent| recent.sequence) else {
        let (from, to) = (state.indexed_sequence, state.last_sequence);
        if from == to {
            return Ok(());
        }
        return Err(Error::Internal(format!("the changes between the sequences {from} and {to} are gone")));
    };
    // A product as it is now, however often it changed.
    let texts: BTreeMap<i64, Searchable> =
        recent.into_iter().filter_map(|recent| Some((recent.product_id, recent.texts?))).collect();
    let count = texts.len();
    if add(products, &state, texts).await?
        && products.move_index(&state, State { indexed_sequence: last, ..state }, late()).await?
    {
        debug!("added {count} products to the search index, up to sequence {last}");
    }
    Ok(())
}

/// Builds the next block that the index does not have: what is older than it.
pub async fn build(products: &ProductStore, state: State) -> Result<(), Error> {
    let next = state.built_from - 1;
    let (mut after, end) = (first(next) - 1, first(next + 1));
    loop {
        let piece = products.texts(after, end, MOST / 2, late()).await?;
        let Some(last) = piece.last().map(|(id, _)| *id) else { break };
        if !add(products, &state, piece.into_iter().collect()).await? {
            return Ok(());
        }
        after = last;
    }
    if products.move_index(&state, State { built_from: next, ..state }, late()).await? && next == 0 {
        info!("the search index is built");
    }
    Ok(())
}

/// Adds products to the lists of their blocks; false when someone else fills the index.
async fn add(products: &ProductStore, state: &State, texts: BTreeMap<i64, Searchable>) -> Result<bool, Error> {
    let mut words = BTreeSet::new();
    let mut blocks: BTreeMap<i64, Additions> = BTreeMap::new();
    for (id, texts) in texts {
        words.extend(suggest::words(&texts));
        let additions = blocks.entry(block(id)).or_default();
        for gram in grams(&texts) {
            additions.entry(gram).or_default().push(id);
        }
    }
    for (block, additions) in blocks {
        if !products.add_postings(state, block, &additions, late()).await? {
            return Ok(false);
        }
    }
    products.add_words(&words, late()).await?;
    Ok(true)
}

fn late() -> Instant {
    Instant::now() + PATIENCE
}
