//! What people type into the search box, made of products that are there.

use crate::bench::products::Database;
use crate::bench::products::generator::row;

/// A kind of query. Its goals are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Sku,
    SkuPrefix,
    NamePrefix,
    Substring,
    Words,
    Short,
    Typo,
    Nothing,
}

impl Class {
    /// Each with its share of the mix, in hundredths.
    pub(super) const MIX: [(Self, u32); 8] = [
        (Self::Sku, 25),
        (Self::SkuPrefix, 15),
        (Self::NamePrefix, 15),
        (Self::Substring, 10),
        (Self::Words, 25),
        (Self::Short, 4),
        (Self::Typo, 4),
        (Self::Nothing, 2),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sku => "sku",
            Self::SkuPrefix => "sku_prefix",
            Self::NamePrefix => "name_prefix",
            Self::Substring => "substring",
            Self::Words => "words",
            Self::Short => "short",
            Self::Typo => "typo",
            Self::Nothing => "nothing",
        }
    }

    /// The p99 in milliseconds that it is to stay below among millions; below two of them one is for all.
    pub(super) fn goal(self, database: Database, rows: i64) -> f64 {
        match self {
            _ if rows < 2_000_000 => database.either(15.0, 60.0),
            Self::Sku | Self::SkuPrefix | Self::NamePrefix => 15.0,
            Self::Substring | Self::Short => database.either(40.0, 200.0),
            Self::Words | Self::Typo | Self::Nothing => 150.0,
        }
    }

    /// Any class, as often as the mix says.
    pub(super) fn any(random: &mut fastrand::Rng) -> Self {
        let mut place = random.u32(..100);
        for (class, share) in Self::MIX {
            match place.checked_sub(share) {
                Some(rest) => place = rest,
                None => return class,
            }
        }
        Self::Sku
    }

    /// A query of this class, of one of the first so many products.
    pub(super) fn query(self, rows: i64, random: &mut fastrand::Rng) -> String {
        // Those of a tenth are renamed by other measures.
        let product = row(random.i64(1..=rows / 10 - 1) * 10 + 1, 0);
        let words: Vec<&str> = product.name.split(' ').collect();
        let series = words.iter().copied().find(|word| is_series(word)).unwrap_or("Tor100");
        match self {
            Self::Sku => product.sku.to_ascii_lowercase(),
            Self::SkuPrefix => product.sku[..random.usize(5..9)].to_owned(),
            Self::NamePrefix => product.name.chars().take(random.usize(9..16)).collect(),
            Self::Substring => series[1..random.usize(5..series.len() + 1)].to_owned(),
            Self::Words => {
                let mut chosen = words.clone();
                random.shuffle(&mut chosen);
                chosen.truncate(random.usize(2..4));
                chosen.join(" ")
            }
            Self::Short => words[random.usize(..words.len())].chars().take(random.usize(1..3)).collect(),
            Self::Typo => {
                let mut letters: Vec<char> = series.chars().collect();
                letters.swap(1, 2);
                letters.into_iter().collect()
            }
            Self::Nothing => std::iter::repeat_with(|| random.lowercase()).take(9).collect(),
        }
    }
}

/// Letters and a number of three digits behind them.
fn is_series(word: &str) -> bool {
    let letters = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
    letters.len() > 3 && word.len() == letters.len() + 3
}
