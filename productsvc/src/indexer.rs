//! Fills the search index behind the changes of the catalogue.
//!
//! One piece at a time, of tens of thousands of changes, so that each list is written seldom; what
//! waits is searched in memory. Any product service may do it, and nothing is lost when
//! one ends in the middle: the next begins that piece again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::error::Error;
use crate::search::additions::Additions;
use crate::search::fold::Searchable;
use crate::search::postings::first;
use crate::search::tail::State;
use crate::store::ProductStore;

/// So many changes are worth a piece.
const ENOUGH: i64 = 16_384;

/// A piece has at most about so many: its lists are in memory.
const MOST: usize = 32_768;

/// Products of a piece that are read at once.
const PART: usize = 4_096;

/// Lists that are written at once: others want to write, too.
const AT_ONCE: usize = 2_048;

/// So many changes from one look to the next are an import. As long as the index is empty
/// it is not begun meanwhile: built at once it costs half, and the import has the machine.
const BUSY: i64 = 500;

/// Looks without an import, after which there is none: one that waits for the disk goes on.
const QUIET: u32 = 4;

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
    let mut indexer = Indexer { products, seen: 0, quiet: 0, filled: Instant::now() };
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(Err(error)) = stopping.run_until_cancelled(indexer.catch_up()).await {
            warn!("could not fill the search index: {error}");
        }
    }
}

struct Indexer {
    products: ProductStore,
    /// The last sequence that was given when we last looked.
    seen: i64,
    /// How often in a row no import was seen.
    quiet: u32,
    /// When all changes were last in the index.
    filled: Instant,
}

impl Indexer {
    async fn catch_up(&mut self) -> Result<(), Error> {
        loop {
            let state = self.products.search_state(late()).await?;
            let waiting = state.last_sequence - state.indexed_sequence;
            let came = state.last_sequence - std::mem::replace(&mut self.seen, state.last_sequence);
            self.quiet = if came >= BUSY { 0 } else { self.quiet.saturating_add(1) };
            if self.quiet < QUIET && waiting < MOST as i64 && self.products.is_index_empty(late()).await? {
                return Ok(());
            }
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
    let (mut additions, mut last) = (Additions::default(), state.indexed_sequence);
    // Only what was there: whoever goes on writing would never be caught up with.
    while additions.products() < MOST && last < state.last_sequence {
        let recent = products.recent(last, PART, late()).await?;
        let Some(newest) = recent.last().map(|recent| recent.sequence) else { break };
        last = newest;
        // A product as it is now, however often it changed.
        let texts: BTreeMap<i64, Searchable> =
            recent.into_iter().filter_map(|recent| Some((recent.product_id, recent.texts?))).collect();
        texts.iter().for_each(|(id, texts)| additions.add(*id, texts));
    }
    let (from, to) = (state.indexed_sequence, state.last_sequence);
    if last == from && from < to {
        return Err(Error::Internal(format!("the changes between the sequences {from} and {to} are gone")));
    }
    if last > from
        && add(products, &state, &additions).await?
        && products.move_index(&state, State { indexed_sequence: last, ..state }, late()).await?
    {
        debug!("added {} products to the search index, up to sequence {last}", additions.products());
    }
    Ok(())
}

/// Builds the next block that the index does not have: what is older than it.
pub async fn build(products: &ProductStore, state: State) -> Result<(), Error> {
    let next = state.built_from - 1;
    let (mut after, end) = (first(next) - 1, first(next + 1));
    loop {
        let mut additions = Additions::default();
        while additions.products() < MOST {
            let part = products.texts(after, end, PART, late()).await?;
            let Some(last) = part.last().map(|(id, _)| *id) else { break };
            after = last;
            part.iter().for_each(|(id, texts)| additions.add(*id, texts));
        }
        if additions.products() == 0 {
            break;
        }
        if !add(products, &state, &additions).await? {
            return Ok(());
        }
    }
    if products.move_index(&state, State { built_from: next, ..state }, late()).await? && next == 0 {
        info!("the search index is built");
    }
    Ok(())
}

/// Adds products to the lists of their blocks; false when someone else fills the index.
async fn add(products: &ProductStore, state: &State, additions: &Additions) -> Result<bool, Error> {
    for (block, lists) in additions.blocks() {
        for lists in lists.chunks(AT_ONCE) {
            if !products.add_postings(state, block, lists, late()).await? {
                return Ok(false);
            }
        }
    }
    products.add_words(additions.words(), late()).await?;
    Ok(true)
}

fn late() -> Instant {
    Instant::now() + PATIENCE
}
