//! A search, from what the tail and the index propose to pages of results.
//!
//! Tier by tier, until the page is full or the time is up: SKUs and names by ranges of
//! their own indexes, words and what they contain by blocks of ids.

mod blocks;
mod prefixes;
mod suggestions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::RwLock;
use tokio::time::Instant;

use crate::error::Error;
use crate::product::Product;
use crate::search::finder::blocks::Blocks;
use crate::search::grams::GramQuery;
use crate::search::place::{Cursor, Place};
use crate::search::tail::{self, State, Tail};
use crate::search::{Query, Tier};
use crate::store::ProductStore;

/// A search that takes longer is answered with what it has found: nobody waits for a
/// page that a better query finds at once.
const BUDGET: Duration = Duration::from_millis(250);

/// Searches the catalogue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Finder {
    store: ProductStore,
    tail: Arc<RwLock<Tail>>,
    budget: Duration,
}

/// A product that fits a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Which one.
    pub product: Product,
    /// How well it fits.
    pub tier: Tier,
}

/// A page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The results, in their order.
    pub hits: Vec<Hit>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Cursor>,
    /// Where the page before begins, if there is one.
    pub previous: Option<Cursor>,
    /// Whether time was up before all was looked at that belongs to the page.
    pub truncated: bool,
    /// What may have been meant, when nothing was found.
    pub suggestions: Vec<String>,
}

/// Which way results are walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Forwards,
    Backwards,
}

/// A part of a walk: one tier, from a place on, until so many are found.
#[derive(Debug, Clone, Copy)]
struct Leg<'a> {
    tier: Tier,
    way: Way,
    from: Option<&'a Place>,
    wanted: usize,
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// There are no more.
    Reached,
    /// As many as were wanted are found.
    Full,
    /// Time was up; up to here all was looked at.
    Late(Place),
}

impl Finder {
    /// Searches what is in `store`.
    pub fn new(store: ProductStore) -> Self {
        Self { store, tail: Arc::default(), budget: BUDGET }
    }

    /// The same with so much time for each page.
    #[must_use]
    pub fn within(self, budget: Duration) -> Self {
        Self { budget, ..self }
    }

    /// A page of what fits a query.
    pub async fn find(&self, query: &Query, cursor: &Cursor, size: usize, deadline: Instant) -> Result<Found, Error> {
        let until = deadline.min(Instant::now() + self.budget);
        let mut walk = self.walk(query, until, deadline).await?;
        if let Cursor::Before(end) = cursor {
            let (mut hits, way_back) = walk.run(Way::Backwards, Some(end), size + 1).await?;
            // With nothing before it this is the first page, which is full when it can be.
            if hits.len() > size {
                hits.truncate(size);
                hits.reverse();
                let next = hits.last().map(|hit| Cursor::After(Place::of(&hit.product, hit.tier)));
                return Ok(walk.page(hits, next, true, &way_back));
            }
        }
        let begin = match cursor {
            Cursor::After(begin) => Some(begin),
            Cursor::First | Cursor::Before(_) => None,
        };
        let (mut hits, end) = walk.run(Way::Forwards, begin, size + 1).await?;
        let more = hits.len() > size;
        hits.truncate(size);
        let next = match &end {
            _ if more => hits.last().map(|hit| Cursor::After(Place::of(&hit.product, hit.tier))),
            End::Late(place) => Some(Cursor::After(place.clone())),
            End::Full | End::Reached => None,
        };
        let mut found = walk.page(hits, next, begin.is_some(), &end);
        if found.hits.is_empty() && begin.is_none() && !found.truncated {
            found.suggestions = self.suggestions(query, until, deadline).await?;
        }
        Ok(found)
    }

    async fn walk<'a>(&'a self, query: &'a Query, until: Instant, deadline: Instant) -> Result<Walk<'a>, Error> {
        let state = self.store.search_state(deadline).await?;
        let sought = query.sought();
        let (tail, has_all) = self.tail(&state, (query, &sought), deadline).await?;
        let blocks = Blocks::new(sought, state);
        Ok(Walk { store: &self.store, query, tail, has_all, judged: HashMap::new(), blocks, until, deadline })
    }

    /// What fits of the products that changed lately, and whether all of these were seen.
    async fn tail(
        &self,
        state: &State,
        (query, sought): (&Query, &GramQuery),
        deadline: Instant,
    ) -> Result<(BTreeMap<i64, Tier>, bool), Error> {
        {
            let tail = self.tail.read().await;
            if !tail.is_behind(state) {
                return Ok((tail.fitting(query, sought), tail.has_all(state)));
            }
        }
        let mut tail = self.tail.write().await;
        if tail.is_behind(state) {
            let room = tail::MOST.saturating_sub(tail.len());
            let recent = self.store.recent(tail.behind(state), room, deadline).await?;
            tail.follow(state, recent);
        }
        Ok((tail.fitting(query, sought), tail.has_all(state)))
    }
}

/// A search under way.
struct Walk<'a> {
    store: &'a ProductStore,
    query: &'a Query,
    /// What fits of the products that changed lately.
    tail: BTreeMap<i64, Tier>,
    has_all: bool,
    /// Where those belong that were looked at: what only contains the words was mostly
    /// looked at for the tier before.
    judged: HashMap<i64, Option<Tier>>,
    blocks: Blocks,
    until: Instant,
    deadline: Instant,
}

impl Walk<'_> {
    /// So many results from a place on, without it, and how that ended.
    async fn run(&mut self, way: Way, from: Option<&Place>, wanted: usize) -> Result<(Vec<Hit>, End), Error> {
        let mut tiers: Vec<Tier> = self.query.tiers().to_vec();
        match (way, from) {
            (Way::Forwards, Some(from)) => tiers.retain(|tier| *tier >= from.tier),
            (Way::Backwards, Some(from)) => tiers.retain(|tier| *tier <= from.tier),
            (_, None) => {}
        }
        if way == Way::Backwards {
            tiers.reverse();
        }
        let mut hits = Vec::new();
        for tier in tiers {
            let from = from.filter(|from| from.tier == tier);
            let leg = Leg { tier, way, from, wanted };
            let end = match tier {
                Tier::SkuExact => self.exact(from, &mut hits).await?,
                Tier::SkuPrefix | Tier::NamePrefix => self.prefixed(leg, &mut hits).await?,
                Tier::Words | Tier::Substring => self.in_blocks(leg, &mut hits).await?,
            };
            match end {
                End::Reached if hits.len() >= wanted => return Ok((hits, End::Full)),
                End::Reached => {}
                end => return Ok((hits, end)),
            }
        }
        Ok((hits, End::Reached))
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    fn page(&self, hits: Vec<Hit>, next: Option<Cursor>, is_later: bool, end: &End) -> Found {
        let first = hits.first().map(|hit| Cursor::Before(Place::of(&hit.product, hit.tier)));
        // A page that emptied since leads back to the first one.
        let previous = is_later.then(|| first.unwrap_or(Cursor::First));
        let truncated = matches!(end, End::Late(_)) || self.blocks.has_gaps() || !self.has_all;
        Found { hits, next, previous, truncated, suggestions: Vec::new() }
    }
}
