//! Searching: what a query means, how well a product fits it, and where it fits.
//!
//! Pure rules, the same for both databases: the store only proposes products by their
//! [`grams`]; whether and how well one fits is decided here. [`finder`] walks through the
//! tiers and [`tail`] knows what the index does not have yet.

pub mod additions;
pub mod finder;
pub mod fold;
pub mod grams;
pub mod place;
pub mod postings;
pub mod suggest;
pub mod tail;

use crate::product::Product;
use crate::search::fold::{Folded, Searchable};
use crate::search::grams::{GramQuery, Part, parts};
use crate::text::Text;

/// Which text is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Name, category or SKU.
    Any,
    /// The name.
    Name,
    /// The category.
    Category,
    /// The SKU.
    Sku,
}

impl Field {
    fn parts(self) -> &'static [Part] {
        match self {
            Self::Any => &[Part::Name, Part::Category, Part::Sku],
            Self::Name => &[Part::Name],
            Self::Category => &[Part::Category],
            Self::Sku => &[Part::Sku],
        }
    }
}

/// How well a product fits a query; the best first. Results come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The query is its SKU.
    SkuExact,
    /// Its SKU begins with the query.
    SkuPrefix,
    /// Its name begins with the query.
    NamePrefix,
    /// Each word of the query begins something in it.
    Words,
    /// It contains each word of the query.
    Substring,
}

impl Tier {
    /// All of them, the best first.
    pub const ALL: [Self; 5] = [Self::SkuExact, Self::SkuPrefix, Self::NamePrefix, Self::Words, Self::Substring];
}

/// What is searched, and where.
#[derive(Debug, Clone)]
pub struct Query {
    field: Field,
    key: String,
    words: Vec<String>,
}

/// Where a query is found in a product: bytes of one of its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Highlight {
    /// In which of its texts.
    pub part: Part,
    /// The first byte.
    pub begin: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Query {
    /// Of what someone typed.
    pub fn new(field: Field, text: &Text<200>) -> Self {
        // Accents alone fold to nothing.
        let folded = fold::fold(text.as_str()).text;
        let words = folded.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Self { field, key: text.key().to_owned(), words }
    }

    /// Where is looked.
    pub fn field(&self) -> Field {
        self.field
    }

    /// The query as keys are folded: SKUs and names may begin with it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its words, folded for searching.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The grams of what fits.
    pub fn sought(&self) -> GramQuery {
        GramQuery::new(&self.words, self.field.parts())
    }

    /// The tiers that can have results.
    pub fn tiers(&self) -> &'static [Tier] {
        match self.field {
            Field::Any => &Tier::ALL,
            Field::Name => &[Tier::NamePrefix, Tier::Words, Tier::Substring],
            Field::Category => &[Tier::Words, Tier::Substring],
            Field::Sku => &[Tier::SkuExact, Tier::SkuPrefix, Tier::Words, Tier::Substring],
        }
    }

    /// How well a product fits; none when it does not, or is deleted.
    pub fn tier(&self, product: &Product) -> Option<Tier> {
        if product.delete_time.is_some() {
            return None;
        }
        if matches!(self.field, Field::Any | Field::Sku) {
            let sku_key = crate::text::fold(&product.sku);
            if sku_key == self.key {
                return Some(Tier::SkuExact);
            }
            if sku_key.starts_with(&self.key) {
                return Some(Tier::SkuPrefix);
            }
        }
        if matches!(self.field, Field::Any | Field::Name) && crate::text::fold(&product.name).starts_with(&self.key) {
            return Some(Tier::NamePrefix);
        }
        self.words_tier(&Searchable::from(product))
    }

    /// How well a product's words fit.
    pub fn words_tier(&self, product: &Searchable) -> Option<Tier> {
        if self.words.is_empty() {
            return None;
        }
        let mut tier = Tier::Words;
        for word in &self.words {
            let best = self.field.parts().iter().filter_map(|part| best(text(product, *part), word)).min()?;
            tier = tier.max(best);
        }
        Some(tier)
    }

    /// Where the words are in a product, in the order of the texts; what overlaps is one.
    pub fn highlights(&self, product: &Product) -> Vec<Highlight> {
        let mut highlights = Vec::new();
        for part in self.field.parts() {
            let text = match part {
                Part::Name => &product.name,
                Part::Category => &product.category,
                Part::Sku => &product.sku,
            };
            let folded = fold::fold(text);
            let mut found: Vec<(usize, usize)> =
                self.words.iter().flat_map(|word| occurrences(&folded, word)).collect();
            found.sort_unstable();
            let mut merged: Vec<(usize, usize)> = Vec::with_capacity(found.len());
            for (begin, end) in found {
                match merged.last_mut() {
                    Some(last) if begin <= last.1 => last.1 = last.1.max(end),
                    _ => merged.push((begin, end)),
                }
            }
            highlights.extend(merged.into_iter().map(|(begin, end)| Highlight { part: *part, begin, end }));
        }
        highlights
    }
}

fn text(product: &Searchable, part: Part) -> &str {
    match part {
        Part::Name => &product.name,
        Part::Category => &product.category,
        Part::Sku => &product.sku,
    }
}

/// Words of fewer characters are only looked for where something begins.
const SHORTEST_INSIDE: usize = 3;

/// How well a word fits a text.
fn best(text: &str, word: &str) -> Option<Tier> {
    let mut inside = None;
    for at in places(text, word) {
        if begins(text, at, word) {
            return Some(Tier::Words);
        }
        inside = Some(Tier::Substring);
    }
    inside.filter(|_| word.chars().count() >= SHORTEST_INSIDE)
}

/// Where a word is, as bytes of the text that was folded.
fn occurrences(folded: &Folded, word: &str) -> Vec<(usize, usize)> {
    let long = word.chars().count() >= SHORTEST_INSIDE;
    let fits = |at: &usize| long || begins(&folded.text, *at, word);
    let origin = |at: usize| {
        let first = folded.text[..at].chars().count();
        let last = first + word.chars().count() - 1;
        (folded.origins[first].0, folded.origins[last].1)
    };
    places(&folded.text, word).filter(fits).map(origin).collect()
}

/// Each byte at which a word is, also where it overlaps itself.
fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + text.get(from..)?.find(word)?;
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
        Some(at)
    })
}

/// Whether something begins at a byte of a text, with what the word begins with.
fn begins(text: &str, at: usize, word: &str) -> bool {
    match (text[..at].chars().next_back(), word.chars().next()) {
        (Some(before), Some(c)) => before == ' ' || parts(before, c),
        (None, _) => true,
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn product(name: &str, category: &str, sku: &str) -> Product {
        Product {
            id: 1,
            name: name.to_owned(),
            category: category.to_owned(),
            sku: sku.to_owned(),
            version: 1,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
            delete_time: None,
        }
    }

    fn query(field: Field, text: &str) -> Query {
        Query::new(field, &Text::parse(text).unwrap())
    }

    #[test]
    fn a_product_is_in_the_best_tier_that_it_fits() {
        let hammer = product("Claw hammer 16 oz", "Tools/Hand", "HAM-100");

        for (text, tier) in [
            ("ham-100", Some(Tier::SkuExact)),
            ("HAM", Some(Tier::SkuPrefix)),
            ("claw h", Some(Tier::NamePrefix)),
            ("hammer claw", Some(Tier::Words)),
            ("tools oz", Some(Tier::Words)),
            ("100", Some(Tier::Words)),
            ("mmer", Some(Tier::Substring)),
            ("mmer claw", Some(Tier::Substring)),
            ("am", None),
            ("hammer saw", None),
        ] {
            assert_eq!(query(Field::Any, text).tier(&hammer), tier, "{text}");
        }
        assert_eq!(query(Field::Name, "ham-100").tier(&hammer), None);
        assert_eq!(query(Field::Name, "claw").tier(&hammer), Some(Tier::NamePrefix));
        assert_eq!(query(Field::Category, "hand").tier(&hammer), Some(Tier::Words));
        assert_eq!(query(Field::Sku, "100").tier(&hammer), Some(Tier::Words));
        assert_eq!(query(Field::Any, "\u{301}").tier(&hammer), None, "it folds to nothing");
        let deleted = Product { delete_time: Some(Timestamp::UNIX_EPOCH), ..hammer };
        assert_eq!(query(Field::Any, "hammer").tier(&deleted), None);
    }

    #[test]
    fn whoever_fits_is_proposed() {
        // The grams must never leave out what the rules let in.
        let mut random = fastrand::Rng::with_seed(11);
        let letters: Vec<char> = "ab1-½é x×\"".chars().collect();
        let mut fitting = 0;
        for _ in 0..20_000 {
            let mut word = |most| (0..random.usize(1..most)).map(|_| letters[random.usize(..letters.len())]).collect();
            let (name, sku, text): (String, String, String) = (word(14), word(6), word(7));
            let Ok(text) = Text::parse(&text) else { continue };
            let searchable = Searchable::new(&name, "c", &sku);
            let query = Query::new(Field::Any, &text);
            if query.words_tier(&searchable).is_some() {
                fitting += 1;
                let grams = grams::grams(&searchable);
                let has = |any: &Vec<i32>| any.iter().any(|gram| grams.contains(gram));
                assert!(query.sought().containing.iter().all(has), "{name:?} {sku:?} {text:?}");
                if query.words_tier(&searchable) == Some(Tier::Words) {
                    assert!(query.sought().beginning.iter().all(has), "{name:?} {sku:?} {text:?}");
                }
            }
        }
        assert!(fitting > 1_000, "{fitting}");
    }

    #[test]
    fn ranges_are_bytes_of_what_people_wrote() {
        let pipe = product("Café pipe 1½\" 2 x 4", "Pipe", "P-1");
        let told = |text: &str| -> Vec<String> {
            let ranges = query(Field::Any, text).highlights(&pipe);
            let text = |range: &Highlight| match range.part {
                Part::Name => pipe.name[range.begin..range.end].to_owned(),
                Part::Category => pipe.category[range.begin..range.end].to_owned(),
                Part::Sku => pipe.sku[range.begin..range.end].to_owned(),
            };
            ranges.iter().map(text).collect()
        };

        assert_eq!(told("cafe"), ["Café"]);
        assert_eq!(told("PIPE"), ["pipe", "Pipe"]);
        assert_eq!(told("1-1/2"), ["1½"]);
        assert_eq!(told("2x4"), ["2 x 4"]);
        assert_eq!(told("p"), ["p", "P", "P"]);
        assert_eq!(told("pip ipe"), ["pipe", "Pipe"]);
        assert!(told("nothing").is_empty());
    }
}
