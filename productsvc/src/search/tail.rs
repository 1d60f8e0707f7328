//! The tail: products that changed since the index was last filled, in memory.
//!
//! A search looks through these one by one, so that it finds what was written a moment
//! ago, by whichever process, while the index is filled in larger pieces.

use std::collections::{BTreeMap, HashSet};

use crate::search::fold::Searchable;
use crate::search::grams::{GramQuery, Signature, grams};
use crate::search::postings::block;
use crate::search::{Query, Tier, suggest};

/// More products are not looked through: the search is answered as truncated then.
pub const MOST: usize = 131_072;

/// How far the index and the catalogue are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The index has all changes up to this sequence.
    pub indexed_sequence: i64,
    /// Blocks from this one on are in the index at all; those before it are being built.
    pub built_from: i64,
    /// The last sequence that was given.
    pub last_sequence: i64,
    /// The last id that was given.
    pub last_id: i64,
}

impl State {
    /// The same with all that is there to be built.
    #[must_use]
    pub fn unbuilt(self) -> Self {
        Self { indexed_sequence: self.last_sequence, built_from: block(self.last_id) + 1, ..self }
    }
}

/// A product as it is, and the last change that was seen of it.
#[derive(Debug, Clone)]
pub struct Recent {
    /// The change's place among all.
    pub sequence: i64,
    /// Which product.
    pub product_id: i64,
    /// What it says; none when it is deleted.
    pub texts: Option<Searchable>,
}

/// Products that changed lately, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// All changes up to this one were seen.
    seen: i64,
    /// The index has all changes up to this one.
    indexed: i64,
    products: BTreeMap<i64, Entry>,
    /// Their words, and some of products that were here.
    words: HashSet<String>,
}

/// A product in the tail.
#[derive(Debug, Clone)]
struct Entry {
    sequence: i64,
    texts: Searchable,
    /// Most of what does not fit is seen by its grams.
    signature: Signature,
}

impl Tail {
    /// Behind which sequence changes are to be read for this state.
    pub fn behind(&self, state: &State) -> i64 {
        self.seen.max(state.indexed_sequence)
    }

    /// Whether changes are to be read, or forgotten, for this state.
    pub fn is_behind(&self, state: &State) -> bool {
        self.seen < state.last_sequence || self.indexed < state.indexed_sequence
    }

    /// Takes in what changed behind [`Tail::behind`], and forgets what the index has.
    pub fn follow(&mut self, state: &State, recent: Vec<Recent>) {
        if self.indexed < state.indexed_sequence {
            self.products.retain(|_, entry| entry.sequence > state.indexed_sequence);
            self.words =
                self.products.values().flat_map(|entry| suggest::words(&entry.texts)).map(str::to_owned).collect();
        }
        self.indexed = self.indexed.max(state.indexed_sequence);
        self.seen = self.behind(state);
        for Recent { sequence, product_id, texts } in recent {
            self.seen = self.seen.max(sequence);
            match texts {
                Some(texts) => {
                    let signature = Signature::of(&grams(&texts));
                    for word in suggest::words(&texts) {
                        if !self.words.contains(word) {
                            self.words.insert(word.to_owned());
                        }
                    }
                    self.products.insert(product_id, Entry { sequence, texts, signature });
                }
                None => drop(self.products.remove(&product_id)),
            }
        }
    }

    /// Whether all changes up to this state are here.
    pub fn has_all(&self, state: &State) -> bool {
        self.seen >= state.last_sequence
    }

    /// How many products changed lately.
    pub fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether none did.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// The products whose words fit, by their ids, and how well; `sought` are the query's grams.
    pub fn fitting(&self, query: &Query, sought: &GramQuery) -> BTreeMap<i64, Tier> {
        let may_fit =
            |entry: &Entry| sought.containing.iter().all(|any| any.iter().any(|gram| entry.signature.may_have(*gram)));
        let candidates = self.products.iter().filter(|(_, entry)| may_fit(entry));
        candidates.filter_map(|(id, entry)| Some((*id, query.words_tier(&entry.texts)?))).collect()
    }

    /// The words of these products that are near one.
    pub fn near(&self, word: &str) -> Vec<String> {
        suggest::nearest(word, self.words.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Field;
    use crate::text::Text;

    fn state(indexed_sequence: i64, last_sequence: i64) -> State {
        State { indexed_sequence, built_from: 0, last_sequence, last_id: 9 }
    }

    fn recent(sequence: i64, product_id: i64, name: &str) -> Recent {
        let texts = (!name.is_empty()).then(|| Searchable::new(name, "c", "s"));
        Recent { sequence, product_id, texts }
    }

    fn found(tail: &Tail, text: &str) -> Vec<i64> {
        let query = Query::new(Field::Name, &Text::parse(text).unwrap());
        tail.fitting(&query, &query.sought()).into_keys().collect()
    }

    #[test]
    fn what_changed_is_found_as_it_is_now() {
        let mut tail = Tail::default();
        tail.follow(&state(0, 2), vec![recent(1, 7, "saw"), recent(2, 8, "hand saw")]);
        assert_eq!(found(&tail, "saw"), [7, 8]);

        tail.follow(&state(0, 4), vec![recent(3, 7, "drill"), recent(4, 8, "")]);
        assert_eq!((found(&tail, "saw"), found(&tail, "drill")), (vec![], vec![7]));
        assert!(tail.has_all(&state(0, 4)) && !tail.has_all(&state(0, 5)));
    }

    #[test]
    fn what_the_index_has_is_forgotten() {
        let mut tail = Tail::default();
        tail.follow(&state(0, 2), vec![recent(1, 7, "saw"), recent(2, 8, "saw")]);
        assert!(!tail.is_behind(&state(0, 2)) && tail.is_behind(&state(1, 2)));

        tail.follow(&state(1, 2), Vec::new());
        assert_eq!(found(&tail, "saw"), [8]);
        assert_eq!(tail.behind(&state(5, 9)), 5);
    }
}
