//! The folding that searches go by: stronger than a key's, as people type.
//!
//! Beyond what [`crate::text::fold`] makes equal, accents are off (`é` is `e`), signs are
//! those of a keyboard (`×` is `x`, `″` is `"`), fractions are spelled as on an invoice
//! (`1½` is `1-1/2`), and a measure is one word (`2 x 4` is `2x4`).

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

use crate::product::Product;

/// A folded text, and for each of its characters the bytes of the text that it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// The folded text.
    pub text: String,
    /// Where each of its characters comes from: begin and end.
    pub origins: Vec<(usize, usize)>,
}

/// The three texts of a product, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searchable {
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// Its SKU.
    pub sku: String,
}

impl Searchable {
    /// Folds what a product says.
    pub fn new(name: &str, category: &str, sku: &str) -> Self {
        Self { name: fold(name).text, category: fold(category).text, sku: fold(sku).text }
    }
}

impl From<&Product> for Searchable {
    fn from(product: &Product) -> Self {
        Self::new(&product.name, &product.category, &product.sku)
    }
}

/// Folds a text.
pub fn fold(text: &str) -> Folded {
    let mut folding = Folding::default();
    for (begin, c) in text.char_indices() {
        folding.push(c, (begin, begin + c.len_utf8()));
    }
    folding.end()
}

/// A text that is being folded, character by character.
#[derive(Default)]
struct Folding {
    chars: Vec<(char, (usize, usize))>,
}

impl Folding {
    fn push(&mut self, c: char, origin: (usize, usize)) {
        if c.is_whitespace() {
            if self.chars.last().is_some_and(|(last, _)| *last != ' ') {
                self.chars.push((' ', origin));
            }
            return;
        }
        if let Some(plain) = keyboard(c) {
            return self.keep(plain, origin);
        }
        if c.is_ascii() {
            return self.keep(c.to_ascii_lowercase(), origin);
        }
        let parts: Vec<char> = c.nfkd().default_case_fold().nfkd().collect();
        if parts.contains(&FRACTION_SLASH) && self.chars.last().is_some_and(|(last, _)| last.is_ascii_digit()) {
            self.keep('-', origin);
        }
        for part in parts {
            match part {
                FRACTION_SLASH => self.keep('/', origin),
                // An accent.
                mark if canonical_combining_class(mark) != 0 => {}
                space if space.is_whitespace() => self.push(' ', origin),
                other => self.keep(keyboard(other).unwrap_or(other), origin),
            }
        }
    }

    fn keep(&mut self, c: char, origin: (usize, usize)) {
        if c.is_ascii_digit() {
            self.join_measure();
        }
        self.chars.push((c, origin));
    }

    /// Takes the spaces out of `2 x ` when a digit follows.
    fn join_measure(&mut self) {
        let mut rest = self.chars.len();
        rest -= usize::from(rest > 0 && self.chars[rest - 1].0 == ' ');
        if rest == 0 || self.chars[rest - 1].0 != 'x' {
            return;
        }
        let x = self.chars[rest - 1];
        rest -= 1;
        rest -= usize::from(rest > 0 && self.chars[rest - 1].0 == ' ');
        if rest > 0 && self.chars[rest - 1].0.is_ascii_digit() {
            self.chars.truncate(rest);
            self.chars.push(x);
        }
    }

    fn end(mut self) -> Folded {
        if self.chars.last().is_some_and(|(last, _)| *last == ' ') {
            self.chars.pop();
        }
        let (text, origins) = self.chars.into_iter().unzip();
        Folded { text, origins }
    }
}

const FRACTION_SLASH: char = '\u{2044}';

/// What people type for a sign that their keyboard lacks.
fn keyboard(c: char) -> Option<char> {
    Some(match c {
        '×' | '✕' | '✖' => 'x',
        '″' | '“' | '”' | '„' | '‟' | '〃' => '"',
        '′' | '‘' | '’' | '‚' | '‛' => '\'',
        '‐' | '‑' | '‒' | '–' | '—' | '−' => '-',
        // These have no accent that Unicode could take off.
        'ø' | 'Ø' => 'o',
        'ł' | 'Ł' => 'l',
        'đ' | 'Đ' => 'd',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_the_same_thing_are_equal() {
        for (one, other) in [
            ("1½\" pipe", "1-1/2\" PIPE"),
            ("½″", "1/2\""),
            ("2 x 4", "2X4"),
            ("2×4 stud", "2 × 4  Stud"),
            ("Café", "CAFE"),
            ("e\u{301}tui", "étui"),
            ("Straße", "STRASSE"),
            ("4 x 8 x 1/2", "4x8x1/2"),
            ("Smørbrød", "smorbrod"),
            ("ﬁttings", "fittings"),
            ("ＡＢＣ", "abc"),
        ] {
            assert_eq!(fold(one).text, fold(other).text, "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_measure_keeps_its_spaces() {
        assert_eq!(fold("box x 4").text, "box x 4");
        assert_eq!(fold("2 x large").text, "2 x large");
        assert_eq!(fold(" a \u{a0} b ").text, "a b");
        assert_eq!(fold("").text, "");
    }

    #[test]
    fn every_character_knows_where_it_comes_from() {
        for text in ["a½b", "1½ é 2 x 4", "Straße ×", "\u{fdfa}", " x "] {
            let folded = fold(text);

            assert_eq!(folded.origins.len(), folded.text.chars().count(), "{text}");
            for (begin, end) in folded.origins {
                assert!(text.get(begin..end).is_some_and(|part| !part.is_empty()), "{text}");
            }
        }
    }
}
