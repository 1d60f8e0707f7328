//! What is to be added to the search index: products' grams, as lists that stay small.
//!
//! Lists lie by grams, so that a search reads each of them in one go; a piece touches
//! thousands of them. The larger the piece, the seldomer that is, so it is held in the
//! same distances that lists are stored in: some hundred bytes a product.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::search::fold::Searchable;
use crate::search::grams::grams;
use crate::search::postings::{Postings, block, offset, offsets, push_distance};
use crate::search::suggest;

/// Products that are to be found.
#[derive(Debug, Default)]
pub struct Additions {
    blocks: BTreeMap<i64, HashMap<i32, Offsets>>,
    words: BTreeSet<String>,
    products: usize,
}

/// Places in a block, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offsets {
    /// The distance of each from the one before, as long as they ascend.
    distances: Vec<u8>,
    /// Behind the last one.
    next: u32,
    /// Those that came behind a greater one.
    late: Vec<u32>,
}

impl Additions {
    /// Adds a product.
    pub fn add(&mut self, id: i64, texts: &Searchable) {
        self.products += 1;
        for word in suggest::words(texts) {
            if !self.words.contains(word) {
                self.words.insert(word.to_owned());
            }
        }
        let lists = self.blocks.entry(block(id)).or_default();
        for gram in grams(texts) {
            lists.entry(gram).or_default().push(offset(id));
        }
    }

    /// How many products were added.
    pub fn products(&self) -> usize {
        self.products
    }

    /// The words that may be suggested.
    pub fn words(&self) -> &BTreeSet<String> {
        &self.words
    }

    /// The grams of each block and who has them, in the order of the grams.
    pub fn blocks(&self) -> impl Iterator<Item = (i64, Vec<(i32, &Offsets)>)> {
        self.blocks.iter().map(|(block, lists)| {
            let mut lists: Vec<(i32, &Offsets)> = lists.iter().map(|(gram, offsets)| (*gram, offsets)).collect();
            lists.sort_unstable_by_key(|(gram, _)| *gram);
            (*block, lists)
        })
    }
}

impl Offsets {
    fn push(&mut self, offset: u32) {
        match offset.checked_sub(self.next) {
            None => self.late.push(offset),
            Some(distance) => {
                push_distance(&mut self.distances, distance as usize);
                self.next = offset + 1;
            }
        }
    }

    /// Adds all of them to a list, and says whether one was not there.
    pub fn add_to(&self, list: &mut Postings) -> bool {
        let ascending = offsets(&self.distances).flatten().map(|offset| offset as u32);
        ascending.chain(self.late.iter().copied()).filter(|offset| list.insert_at(*offset)).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_pushed_is_added_in_whatever_order() {
        let mut offsets = Offsets::default();
        for offset in [3, 4, 70_000, 5, 200_000, 199_999] {
            offsets.push(offset);
        }

        let mut list = Postings::default();
        assert!(offsets.add_to(&mut list) && !offsets.add_to(&mut list), "the second time all were there");

        assert_eq!(list.ids(0).collect::<Vec<_>>(), [3, 4, 5, 70_000, 199_999, 200_000]);
    }

    #[test]
    fn products_are_added_by_their_grams() {
        let mut additions = Additions::default();
        additions.add(7, &Searchable::new("saw", "t", "1"));
        additions.add(8, &Searchable::new("saw", "t", "2"));

        assert_eq!((additions.products(), additions.words().len()), (2, 1));
        let (block, lists) = additions.blocks().next().unwrap();
        // Of the name "saw", "s" and "sa"; the category; either SKU.
        assert_eq!((block, lists.len()), (0, 3 + 1 + 2));
        assert!(lists.is_sorted_by_key(|(gram, _)| *gram));
    }
}
