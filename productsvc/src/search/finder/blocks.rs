//! The tiers of words: block by block of ids, the newest first.
//!
//! Each block's lists of grams are cut with each other; who is left is read and looked
//! at. Windows grow from one block to many: a common word fills the page from the first
//! one, a rare one is looked for in all of them with few round trips.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::error::Error;
use crate::search::Tier;
use crate::search::finder::{End, Hit, Leg, Walk, Way};
use crate::search::grams::{Alternatives, GramQuery};
use crate::search::place::Place;
use crate::search::postings::{Postings, block, first};
use crate::search::tail::State;

/// Blocks whose lists are read at once at most.
const WIDEST: usize = 8;

/// Products that are read at once to be looked at.
const PIECE: usize = 64;

/// Products whose texts are read at once where few of them fit.
const WIDE_PIECE: usize = 512;

/// Lists are cut with each other in so many steps, the shortest first: how many in each.
/// A block of which nearly nobody is left takes no further step.
const STEPS: [usize; 3] = [2, 3, 12];

/// Looking at so many costs less than another step.
const FEW: usize = 2;

/// Groups of grams, one of each of which must be there.
#[derive(Debug, Clone)]
struct Groups {
    groups: Vec<Alternatives>,
    /// Whether the rarest come first; before, nothing is known of them.
    ranked: bool,
}

/// What a query's grams say of blocks.
pub(super) struct Blocks {
    sought_containing: Groups,
    sought_beginning: Groups,
    state: State,
    /// Who may contain all words, by blocks that were read.
    containing: HashMap<i64, Postings>,
    /// Who may begin with all words.
    beginning: HashMap<i64, Postings>,
    /// Whether a block was needed that is not in the index yet.
    gaps: bool,
}

impl Blocks {
    pub(super) fn new(sought: GramQuery, state: State) -> Self {
        let unranked = |groups| Groups { groups, ranked: false };
        let (sought_containing, sought_beginning) = (unranked(sought.containing), unranked(sought.beginning));
        let (containing, beginning) = (HashMap::new(), HashMap::new());
        Self { sought_containing, sought_beginning, state, containing, beginning, gaps: false }
    }

    pub(super) fn has_gaps(&self) -> bool {
        self.gaps
    }

    /// The blocks on the way from an id on, in their order.
    fn way(&self, way: Way, from: Option<i64>) -> Vec<i64> {
        let top = block(self.state.last_id);
        match way {
            // Without the id itself: at the edge of a block nothing of that is left.
            Way::Forwards => (0..=from.map_or(top, |id| block(id - 1).min(top))).rev().collect(),
            Way::Backwards => (from.map_or(0, |id| block(id + 1))..=top).collect(),
        }
    }

    /// Who may be in a tier.
    fn candidates(&self, tier: Tier, block: i64) -> Postings {
        let mut candidates = self.containing.get(&block).cloned().unwrap_or_default();
        if tier == Tier::Words
            && let Some(beginning) = self.beginning.get(&block)
        {
            candidates.keep(beginning);
        }
        candidates
    }
}

impl Walk<'_> {
    /// Products whose words fit that well.
    pub(super) async fn in_blocks(&mut self, leg: Leg<'_>, hits: &mut Vec<Hit>) -> Result<End, Error> {
        let Leg { tier, way, from, wanted } = leg;
        let from = from.map(|place| place.id);
        let blocks = self.blocks.way(way, from);
        let (mut window, mut left) = (1, blocks.as_slice());
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(window));
            (window, left) = (WIDEST.min(window * 2), later);
            self.read(tier, now).await?;
            // Of all these blocks together: few of many blocks are read in one go.
            let mut ids: Vec<i64> = now.iter().flat_map(|block| self.ids(leg, *block)).collect();
            while !ids.is_empty() {
                let piece = if self.is_sparse() { WIDE_PIECE } else { PIECE };
                let rest = ids.split_off(ids.len().min(piece));
                let last = ids.last().copied().unwrap_or_default();
                if self.look_at(tier, &ids, wanted, hits).await? {
                    return Ok(End::Full);
                }
                if self.is_late() && !(rest.is_empty() && left.is_empty()) {
                    return Ok(End::Late(Place { tier, key: String::new(), id: last }));
                }
                ids = rest;
            }
            if self.is_late()
                && !left.is_empty()
                && let Some(last) = now.last()
            {
                let edge = match way {
                    Way::Forwards => first(*last),
                    Way::Backwards => first(last + 1) - 1,
                };
                return Ok(End::Late(Place { tier, key: String::new(), id: edge }));
            }
        }
        Ok(End::Reached)
    }

    /// Who of a block may be in a tier, in the order of the way.
    fn ids(&self, leg: Leg<'_>, block: i64) -> Vec<i64> {
        let mut candidates = self.blocks.candidates(leg.tier, block);
        let recent = self.tail.range(first(block)..first(block + 1)).filter(|(_, found)| **found == leg.tier);
        recent.for_each(|(id, _)| _ = candidates.insert(*id));
        let from = leg.from.map(|place| place.id);
        match leg.way {
            Way::Forwards => candidates.ids(block).rev().filter(|id| from.is_none_or(|from| *id < from)).collect(),
            Way::Backwards => candidates.ids(block).filter(|id| from.is_none_or(|from| *id > from)).collect(),
        }
    }

    /// Whether few of those fit that have the grams: then their texts are read first.
    fn is_sparse(&self) -> bool {
        let fitting = self.judged.values().flatten().count();
        self.judged.len() > PIECE && fitting * 4 < self.judged.len()
    }

    /// Reads products and keeps those of the tier; says whether there are enough.
    async fn look_at(&mut self, tier: Tier, ids: &[i64], wanted: usize, hits: &mut Vec<Hit>) -> Result<bool, Error> {
        let unknown = |id: &&i64| self.judged.get(*id).is_none_or(|known| *known == Some(tier));
        let mut ids: Vec<i64> = ids.iter().filter(unknown).copied().collect();
        if self.is_sparse() {
            let texts = self.store.texts_of(&ids, self.deadline).await?;
            let fitting = texts.iter().filter(|(_, texts)| self.query.words_tier(texts).is_some());
            let fitting: HashSet<i64> = fitting.map(|(id, _)| *id).collect();
            let (left, others): (Vec<i64>, Vec<i64>) = ids.into_iter().partition(|id| fitting.contains(id));
            self.judged.extend(others.into_iter().map(|id| (id, None)));
            ids = left;
        }
        let products = self.store.live(&ids, self.deadline).await?;
        for product in products {
            let fits = self.query.tier(&product);
            self.judged.insert(product.id, fits);
            if fits == Some(tier) {
                hits.push(Hit { product, tier });
                if hits.len() == wanted {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Reads the lists of these blocks that are not known yet.
    async fn read(&mut self, tier: Tier, blocks: &[i64]) -> Result<(), Error> {
        let built = |block: &&i64| **block >= self.blocks.state.built_from;
        self.blocks.gaps |= !blocks.iter().all(|block| built(&block));
        let containing: Vec<i64> =
            blocks.iter().filter(built).filter(|block| !self.blocks.containing.contains_key(block)).copied().collect();
        if !containing.is_empty() {
            let (lists, groups) = self.cut(&containing, &self.blocks.sought_containing).await?;
            self.blocks.containing.extend(lists);
            self.blocks.sought_containing = groups;
        }
        if tier == Tier::Words && !self.blocks.sought_beginning.groups.is_empty() {
            let has_any = |block: &i64| self.blocks.containing.get(block).is_some_and(|list| !list.is_empty());
            let beginning: Vec<i64> = blocks.iter().filter(|block| has_any(block)).copied().collect();
            if !beginning.is_empty() {
                let (lists, groups) = self.cut(&beginning, &self.blocks.sought_beginning).await?;
                self.blocks.beginning.extend(lists);
                self.blocks.sought_beginning = groups;
            }
        }
        Ok(())
    }

    /// Who may have one gram of each group, by blocks, and the groups, ranked if one was found.
    async fn cut(&self, blocks: &[i64], groups: &Groups) -> Result<(HashMap<i64, Postings>, Groups), Error> {
        let mut cut: HashMap<i64, Postings> = HashMap::with_capacity(blocks.len());
        let mut counts: Vec<usize> = Vec::with_capacity(groups.groups.len());
        let mut left = blocks.to_vec();
        for step in groups.steps() {
            if left.is_empty() {
                break;
            }
            let grams: Vec<i32> = step.iter().flatten().copied().collect();
            let lists = self.store.postings(&left, &grams, self.deadline).await?;
            for group in step {
                let mut count = 0;
                for block in &left {
                    let mut any = Postings::default();
                    group.iter().filter_map(|gram| lists.get(&(*block, *gram))).for_each(|list| any.add(list));
                    count += any.len();
                    match cut.entry(*block) {
                        Entry::Occupied(mut all) => all.get_mut().keep(&any),
                        Entry::Vacant(first) => _ = first.insert(any),
                    }
                }
                counts.push(count);
            }
            left.retain(|block| cut.get(block).is_some_and(|list| list.len() > FEW));
        }
        Ok((cut, groups.clone().rank(&counts)))
    }
}

impl Groups {
    /// What is read at once: all of them as long as nothing is known of them.
    fn steps(&self) -> impl Iterator<Item = &[Alternatives]> {
        let mut left = self.groups.as_slice();
        STEPS.into_iter().map_while(move |step| {
            let (now, later) = left.split_at(if self.ranked { left.len().min(step) } else { left.len() });
            left = later;
            (!now.is_empty()).then_some(now)
        })
    }

    /// The same by how many have them. Where nobody has any, nothing is known yet.
    fn rank(self, counts: &[usize]) -> Self {
        if self.ranked || counts.iter().all(|count| *count == 0) {
            return self;
        }
        let mut counted: Vec<(usize, Alternatives)> = counts.iter().copied().zip(self.groups).collect();
        counted.sort_by_key(|(count, _)| *count);
        Self { groups: counted.into_iter().map(|(_, group)| group).collect(), ranked: true }
    }
}
