//! What someone may have meant who found nothing: words that are nearly the same.
//!
//! Words are kept with all their forms that lack one character. Two words that share a
//! form are at most two changes apart, so a typo is a few look-ups, in any alphabet.

use std::collections::BTreeSet;

use crate::search::fold::Searchable;

/// The longest word that is looked for: longer ones are no words.
const LONGEST: usize = 32;

/// The shortest: nearly everything is nearly the same as a shorter one.
const SHORTEST: usize = 3;

/// At most so many suggestions are made.
pub const MOST: usize = 3;

/// The words of a product that a typo could be one of: letters alone.
pub fn words(product: &Searchable) -> impl Iterator<Item = &str> {
    let texts = [&product.name, &product.category];
    let words = texts.into_iter().flat_map(|text| text.split(|c: char| !c.is_alphabetic()));
    words.filter(|word| (SHORTEST..=LONGEST).contains(&word.chars().count()))
}

/// A word, and all that lacks one of its characters.
pub fn forms(word: &str) -> BTreeSet<String> {
    let chars: Vec<char> = word.chars().take(LONGEST).collect();
    let without = |at: usize| chars.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, c)| *c).collect();
    let mut forms: BTreeSet<String> = (0..chars.len()).map(without).collect();
    forms.insert(word.to_owned());
    forms
}

/// Whether a word of a query may be a typo.
pub fn may_be_mistyped(word: &str) -> bool {
    let length = word.chars().count();
    (SHORTEST..=LONGEST).contains(&length) && word.chars().any(char::is_alphabetic)
}

/// The known words that are nearest to one, the nearest first.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let length = word.chars().count();
    let most = if length <= 5 { 1 } else { 2 };
    // Each change makes it longer by one at most.
    let alike = known.into_iter().filter(|known| known.chars().count().abs_diff(length) <= most);
    let near = alike.map(|known| (distance(word, known), known));
    let near: BTreeSet<(usize, &str)> = near.filter(|(distance, _)| (1..=most).contains(distance)).collect();
    near.into_iter().map(|(_, known)| known.to_owned()).take(MOST).collect()
}

/// How many changes of a character, or swaps of two, make one word of the other
/// (Damerau and Levenshtein, of neighbours that are not changed again).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, d) in other.iter().enumerate() {
            let mut least = (row[j] + usize::from(c != d)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *c == other[j - 1] && one[i - 1] == *d {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> [&'static str; 7] {
        ["hammer", "hamper", "saw", "screw", "screws", "étage", "кисть"]
    }

    #[test]
    fn the_nearest_word_comes_first() {
        assert_eq!(nearest("hamer", known()), ["hammer", "hamper"]);
        assert_eq!(nearest("hammmer", known()), ["hammer", "hamper"]);
        assert_eq!(nearest("screw", known()), ["screws"]);
        assert_eq!(nearest("swa", known()), ["saw"]);
        assert_eq!(nearest("кисьт", known()), ["кисть"]);
        assert!(nearest("lamp", known()).is_empty());
    }

    #[test]
    fn words_one_change_apart_share_a_form() {
        for (typo, word) in [("hamer", "hammer"), ("hammmer", "hammer"), ("hanmer", "hammer"), ("hmamer", "hammer")] {
            assert!(!forms(typo).is_disjoint(&forms(word)), "{typo}");
        }
    }

    #[test]
    fn words_are_letters() {
        let product = Searchable::new("2x4 stud, R13 hem-fir", "Lumber/Studs", "S-1");

        assert_eq!(words(&product).collect::<Vec<_>>(), ["stud", "hem", "fir", "lumber", "studs"]);
    }
}
