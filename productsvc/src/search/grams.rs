//! Grams: the pieces of a text by which products are found.
//!
//! Of each word all runs of three characters, and where something new begins in it (the
//! word itself, a number after letters, a sign) its first one and first two. So whatever
//! a word contains is found by three characters, and what it begins with by one.

use crate::search::fold::Searchable;

/// The texts of a product that have grams of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The name.
    Name = 1,
    /// The category.
    Category = 2,
    /// The SKU.
    Sku = 3,
}

/// All grams of a product, each once, in their order.
pub fn grams(product: &Searchable) -> Vec<i32> {
    let mut grams = Vec::with_capacity(128);
    for (part, text) in [(Part::Name, &product.name), (Part::Category, &product.category), (Part::Sku, &product.sku)] {
        for word in text.split_whitespace() {
            let word: Vec<char> = word.chars().collect();
            grams.extend(word.windows(3).map(|run| gram(part, Place::Anywhere, run)));
            for begin in (0..word.len()).filter(|at| *at == 0 || parts(word[at - 1], word[*at])) {
                grams.extend(
                    (1..=2).filter_map(|length| {
                        word.get(begin..begin + length).map(|run| gram(part, Place::Beginning, run))
                    }),
                );
            }
        }
    }
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// Which grams a product may have: what is not in here it has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signature([u64; 8]);

impl Signature {
    /// Of a product's grams.
    pub fn of(grams: &[i32]) -> Self {
        let mut signature = Self::default();
        for gram in grams {
            let (word, bit) = Self::place(*gram);
            signature.0[word] |= bit;
        }
        signature
    }

    /// Whether a gram may be among them.
    pub fn may_have(&self, gram: i32) -> bool {
        let (word, bit) = Self::place(gram);
        self.0[word] & bit != 0
    }

    fn place(gram: i32) -> (usize, u64) {
        let at = gram.cast_unsigned() % 512;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

/// One of these grams must be there.
pub type Alternatives = Vec<i32>;

/// The grams that a product has which contains a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GramQuery {
    /// Those of products that contain all its words.
    pub containing: Vec<Alternatives>,
    /// Those that products have besides in which all its words begin something.
    pub beginning: Vec<Alternatives>,
}

/// More would not narrow a search down.
const MOST: usize = 12;

impl GramQuery {
    /// Of a query's words, looked for in these parts.
    pub fn new(words: &[String], among: &[Part]) -> Self {
        let (mut containing, mut between, mut beginning) = (Vec::new(), Vec::new(), Vec::new());
        let every = |place, run: &[char]| among.iter().map(|part| gram(*part, place, run)).collect::<Alternatives>();
        // Long words are rare ones.
        let mut longest_first: Vec<Vec<char>> = words.iter().map(|word| word.chars().collect()).collect();
        longest_first.sort_by_key(|word| std::cmp::Reverse(word.len()));
        for word in longest_first {
            if word.len() < 3 {
                containing.push(every(Place::Beginning, &word));
                continue;
            }
            beginning.push(every(Place::Beginning, &word[..2]));
            // Side by side; the last one ends with the word. Those between are of use where many are left.
            let last = word.len() - 3;
            for begin in 0..=last {
                let run = every(Place::Anywhere, &word[begin..begin + 3]);
                if begin % 3 == 0 || begin == last { containing.push(run) } else { between.push(run) }
            }
        }
        containing.extend(between);
        containing.truncate(MOST);
        beginning.truncate(MOST);
        Self { containing, beginning }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Anywhere = 0,
    Beginning = 4,
}

/// Whether something new begins between two characters of a word.
pub fn parts(before: char, c: char) -> bool {
    #[derive(PartialEq)]
    enum Class {
        Letter,
        Digit,
        Sign(char),
    }
    let class = |c: char| match c {
        c if c.is_alphabetic() => Class::Letter,
        c if c.is_numeric() => Class::Digit,
        c => Class::Sign(c),
    };
    class(before) != class(c)
}

/// A gram as a number (FNV-1a, folded to 32 bits). It is stored: it must stay what it
/// is. That two share a number costs a look at a product that is not meant.
fn gram(part: Part, place: Place, run: &[char]) -> i32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(part as u8 + place as u8);
    for c in run {
        u32::from(*c).to_le_bytes().into_iter().for_each(&mut mix);
    }
    let folded = (hash ^ (hash >> 32)) & 0xffff_ffff;
    (folded as u32).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Part; 3] = [Part::Name, Part::Category, Part::Sku];

    fn found(query: &str, name: &str) -> (bool, bool) {
        let product = Searchable::new(name, "Tools", "T-1");
        let grams = grams(&product);
        let words: Vec<String> = query.split(' ').map(str::to_owned).collect();
        let sought = GramQuery::new(&words, &ALL);
        let has =
            |needed: &[Alternatives]| needed.iter().all(|any| any.iter().any(|gram| grams.binary_search(gram).is_ok()));
        (has(&sought.containing), has(&sought.containing) && has(&sought.beginning))
    }

    #[test]
    fn words_are_found_by_what_they_contain_and_begin_with() {
        assert_eq!(found("hammer", "claw hammer"), (true, true));
        assert_eq!(found("hammer", "sledgehammer"), (true, false));
        assert_eq!(found("ham", "claw hammer"), (true, true));
        assert_eq!(found("mmer", "claw hammer"), (true, false));
        assert_eq!(found("h", "claw hammer"), (true, true));
        assert_eq!(found("ha", "claw hammer"), (true, true));
        assert!(!found("am", "claw hammer").0);
        assert_eq!(found("hammer claw", "claw hammer"), (true, true));
        assert!(!found("hammer saw", "claw hammer").0);
        assert_eq!(found("13", "insulation r13"), (true, true));
        assert_eq!(found("%", "100% cotton"), (true, true));
        assert_eq!(found("tools", "claw hammer"), (true, true));
    }

    #[test]
    fn a_long_query_needs_few_grams() {
        let words: Vec<String> = (0..60).map(|n| format!("w{n}")).collect();

        assert_eq!(GramQuery::new(&words, &ALL).containing.len(), MOST);
    }

    #[test]
    fn grams_stay_what_they_are() {
        // They are in databases.
        assert_eq!(
            gram(Part::Name, Place::Anywhere, &['s', 'a', 'w']),
            gram(Part::Name, Place::Anywhere, &['s', 'a', 'w'])
        );
        assert_eq!(grams(&Searchable::new("saw", "t", "1")).len(), 3 + 1 + 1);
    }
}
