//! Categories: a tree by path, `Paint/Interior/Eggshell`, counted.
//!
//! There is no category without a product: the tree is what products say. Two spellings
//! are one category when their keys are equal, and it is shown as it was first written.

use std::collections::BTreeMap;

use crate::text::{Text, TextFault, fold};

/// Levels that a path may have: nobody finds anything below.
const MOST_LEVELS: usize = 10;

/// Where a product belongs: levels parted by `/`, each trimmed, none empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category(Text<120>);

/// What is wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CategoryFault {
    /// It is no text that a product may carry.
    #[error(transparent)]
    Text(#[from] TextFault),
    /// It has more levels than it may have.
    #[error("must have at most {MOST_LEVELS} levels, has {0}")]
    TooDeep(usize),
}

impl Category {
    /// Cleans what came, level by level, and checks it.
    pub fn parse(raw: &str) -> Result<Self, CategoryFault> {
        // Control characters are refused where they are, also between levels.
        let path = Text::<{ usize::MAX / 4 }>::parse(raw)?;
        let levels: Vec<&str> = levels(path.as_str()).collect();
        if levels.len() > MOST_LEVELS {
            return Err(CategoryFault::TooDeep(levels.len()));
        }
        Ok(Self(Text::parse(&levels.join("/"))?))
    }

    /// The path for people.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The path for comparing.
    pub fn key(&self) -> &str {
        self.0.key()
    }

    /// This path with the levels of `from`, with which it begins, exchanged for those of
    /// `to`; none when it does not begin with them.
    pub fn moved(path: &str, from: &Self, to: &Self) -> Option<String> {
        let depth = levels(from.as_str()).count();
        let mut rest = levels(path);
        let begin: Vec<&str> = rest.by_ref().take(depth).collect();
        if key(&begin.join("/")) != from.key() {
            return None;
        }
        Some(std::iter::once(to.as_str()).chain(rest).collect::<Vec<_>>().join("/"))
    }

    /// Whether it is `other`, or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        is_within(self.key(), other.key())
    }
}

/// A category as it is shown, and how many products there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its path, as it was first written.
    pub path: String,
    /// Products that are directly in it.
    pub direct: i64,
    /// Products that are in it or below it.
    pub total: i64,
    /// Whether there are categories below it.
    pub has_children: bool,
}

/// How counts change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// The path as it is written here.
    pub path: String,
    /// Of products directly in it.
    pub direct: i64,
    /// Of products in it or below it.
    pub total: i64,
}

/// How the counts of categories change, by their keys.
#[derive(Debug, Clone, Default)]
pub struct Deltas(BTreeMap<String, Delta>);

impl Deltas {
    /// So many products come to a path; below 0 they leave it.
    pub fn count(&mut self, path: &str, products: i64) {
        let (mut key, mut shown) = (String::new(), String::new());
        let levels: Vec<&str> = levels(path).collect();
        for (depth, level) in levels.iter().enumerate() {
            let part = if depth == 0 { "" } else { "/" };
            shown = format!("{shown}{part}{level}");
            key = format!("{key}{part}{}", fold(level));
            let delta = self.0.entry(key.clone()).or_default();
            if delta.path.is_empty() {
                delta.path.clone_from(&shown);
            }
            delta.total += products;
            delta.direct += if depth + 1 == levels.len() { products } else { 0 };
        }
    }

    /// What changes, by key.
    pub fn changes(self) -> impl Iterator<Item = (String, Delta)> {
        self.0.into_iter().filter(|(_, delta)| delta.direct != 0 || delta.total != 0)
    }
}

/// The key of a path, cleaned level by level.
pub fn key(path: &str) -> String {
    fold(&levels(path).collect::<Vec<_>>().join("/"))
}

/// Whether the key of a path is another one, or below it.
pub fn is_within(key: &str, other: &str) -> bool {
    key.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The key of the category that one is below; none for the first level.
pub fn parent(key: &str) -> Option<&str> {
    key.rsplit_once('/').map(|(parent, _)| parent)
}

/// The levels of a path, cleaned.
fn levels(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').map(str::trim).filter(|level| !level.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(path: &str) -> Category {
        Category::parse(path).unwrap()
    }

    #[test]
    fn paths_are_cleaned_level_by_level() {
        assert_eq!(category(" /Paint / Interior//Eggshell/ ").as_str(), "Paint/Interior/Eggshell");
        assert_eq!(category("Tools").key(), "tools");
        for (path, fault) in [
            ("", CategoryFault::Text(TextFault::Empty)),
            (" / // ", CategoryFault::Text(TextFault::Empty)),
            ("a\0/b", CategoryFault::Text(TextFault::Control)),
            ("a/b/c/d/e/f/g/h/i/j/k", CategoryFault::TooDeep(11)),
        ] {
            assert_eq!(Category::parse(path), Err(fault), "{path}");
        }
        assert!(Category::parse(&"x".repeat(121)).is_err());
    }

    #[test]
    fn a_path_moves_with_what_is_below_it() {
        let (from, to) = (category("Paint/Interior"), category("Coatings"));

        assert_eq!(Category::moved("PAINT/interior/Eggshell", &from, &to).as_deref(), Some("Coatings/Eggshell"));
        assert_eq!(Category::moved("Paint/Interior", &from, &to).as_deref(), Some("Coatings"));
        for other in ["Paint", "Paint/Interiors", "Paint/Interiors/Matt", "My/Paint/Interior"] {
            assert_eq!(Category::moved(other, &from, &to), None, "{other}");
        }
        assert!(category("Paint/Interior/Matt").is_within(&from) && from.is_within(&from));
        assert!(!category("Paint/Interiors").is_within(&from) && !category("Paint").is_within(&from));
    }

    #[test]
    fn counts_reach_up_to_the_first_level() {
        let mut deltas = Deltas::default();
        deltas.count("Paint/Interior", 2);
        deltas.count("paint / exterior", 1);
        deltas.count("Tools", 1);
        deltas.count("tools", -1);

        let told: Vec<(String, String, i64, i64)> =
            deltas.changes().map(|(key, delta)| (key, delta.path, delta.direct, delta.total)).collect();

        let row = |key: &str, path: &str, direct, total| (key.to_owned(), path.to_owned(), direct, total);
        assert_eq!(
            told,
            [
                row("paint", "Paint", 0, 3),
                row("paint/exterior", "paint/exterior", 1, 1),
                row("paint/interior", "Paint/Interior", 2, 2)
            ]
        );
        assert_eq!((parent("a/b/c"), parent("a")), (Some("a/b"), None));
    }
}
