//! Text that a product carries: cleaned, within its limit, with its folded key.
//!
//! Two texts are the same to a person when their keys are equal. Keys are made
//! here and nowhere else, so that both databases compare the same bytes.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// A text of 1 to `LIMIT` characters: trimmed, single spaces inside, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const LIMIT: usize> {
    text: String,
    key: String,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Nothing is left when the spaces around it are cut off.
    #[error("must not be empty")]
    Empty,
    /// It has more characters than it may have.
    #[error("must have at most {limit} characters, has {length}")]
    TooLong {
        /// How many it may have.
        limit: usize,
        /// How many it has.
        length: usize,
    },
    /// It fits, but not its key, in which a ligature or a fraction is several characters.
    #[error("must have at most {limit} characters with ligatures and fractions spelled out")]
    KeyTooLong {
        /// How many characters it may have.
        limit: usize,
    },
    /// It holds a character that cannot be seen and would mislead.
    #[error("must not hold control characters")]
    Control,
}

impl<const LIMIT: usize> Text<LIMIT> {
    /// How many characters it may have.
    pub const LIMIT: usize = LIMIT;

    /// Cleans what came and checks it.
    pub fn parse(raw: &str) -> Result<Self, TextFault> {
        let trimmed = raw.trim();
        if trimmed.chars().any(is_control) {
            return Err(TextFault::Control);
        }
        let text = single_spaced(trimmed);
        // Joiners are part of emoji and of Persian words; alone they show nothing.
        if text.chars().all(|c| matches!(c, '\u{200c}' | '\u{200d}')) {
            return Err(TextFault::Empty);
        }
        let length = text.chars().count();
        if length > LIMIT {
            return Err(TextFault::TooLong { limit: LIMIT, length });
        }
        let key = fold(&text);
        // Four bytes a character is what the text itself may take. PostgreSQL
        // refuses index entries above 2,704 bytes, and one holds all three keys.
        if key.len() > LIMIT * 4 {
            return Err(TextFault::KeyTooLong { limit: LIMIT });
        }
        Ok(Self { text, key })
    }

    /// The text for people.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text for comparing and searching.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The key of a text: case, typographic forms and runs of spaces do not matter.
///
/// This is NFKC, full case folding and NFKC again (Unicode 3.13, D146), with the
/// fraction slash that NFKC makes of `½` turned into the one that people type.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        // The same for ASCII, and most text is: imports spend their time here.
        return single_spaced(&text.to_ascii_lowercase());
    }
    let folded: String =
        text.nfkc().default_case_fold().nfkc().map(|c| if c == '\u{2044}' { '/' } else { c }).collect();
    single_spaced(&folded)
}

/// The first `limit` characters of a text that may be anything.
pub fn cut(text: &str, limit: usize) -> String {
    // Databases refuse the null character in a text.
    text.chars().take(limit).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

fn single_spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    spaced
}

/// Control characters, and the ones that reorder or hide the text around them.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(raw: &str) -> Result<String, TextFault> {
        Text::<10>::parse(raw).map(|text| text.as_str().to_owned())
    }

    #[test]
    fn text_is_trimmed_and_single_spaced() {
        assert_eq!(parsed("  a \u{a0}  b "), Ok("a b".to_owned()));
    }

    #[test]
    fn text_that_cannot_be_a_name_is_refused() {
        assert_eq!(parsed(""), Err(TextFault::Empty));
        assert_eq!(parsed(" \t\u{3000} "), Err(TextFault::Empty));
        assert_eq!(parsed("a\0b"), Err(TextFault::Control));
        assert_eq!(parsed("a\nb"), Err(TextFault::Control));
        assert_eq!(parsed("a\u{202e}b"), Err(TextFault::Control));
        assert_eq!(parsed("a\u{ad}b\u{2060}"), Err(TextFault::Control));
        assert_eq!(parsed("\u{200d}\u{200c}"), Err(TextFault::Empty));
        assert_eq!(parsed("12345678901"), Err(TextFault::TooLong { limit: 10, length: 11 }));
    }

    #[test]
    fn limits_count_characters_not_bytes() {
        assert_eq!(parsed("ßßßßßßßßßß"), Ok("ßßßßßßßßßß".to_owned()));
        assert_eq!(parsed("🔨🔨🔨🔨🔨🔨🔨🔨🔨🔨"), Ok("🔨".repeat(10)));
    }

    #[test]
    fn a_text_whose_key_explodes_is_refused() {
        assert_eq!(parsed(&"\u{fdfa}".repeat(10)), Err(TextFault::KeyTooLong { limit: 10 }));
    }

    #[test]
    fn keys_ignore_case_and_typography() {
        assert_eq!(fold("ABC-1"), fold("abc-1"));
        assert_eq!(fold("STRASSE"), fold("straße"));
        assert_eq!(fold("½ in"), "1/2 in");
        assert_eq!(fold("ＡＢＣ　１"), "abc 1");
        assert_eq!(fold("ﬁttings"), "fittings");
        assert_eq!(fold("e\u{301}"), fold("É"));
        assert_eq!(fold("ΣΊΣΥΦΟΣ"), fold("σίσυφος"));
    }

    #[test]
    fn folding_a_key_changes_nothing() {
        for text in ["Plain  Text", "½ İstanbul", "ﬃ Straße", "\u{37a}x", "ÅÄÖ 2×4", "ΐ"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }

    #[test]
    fn the_short_way_for_ascii_is_the_long_way() {
        let ascii: String = (' '..='~').collect();
        let long: String = ascii.nfkc().default_case_fold().nfkc().collect();

        assert_eq!(fold(&ascii), single_spaced(&long));
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("aé🔨b", 3), "aé🔨");
        assert_eq!(cut("a\0", 9), "a\u{fffd}");
    }
}
