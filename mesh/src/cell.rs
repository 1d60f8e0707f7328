//! Cells of a CSV file that a spreadsheet would take for formulas.
//!
//! What an export guards, an import takes away again, so that nothing changes on the way.

use std::borrow::Cow;

/// What formulas begin with (OWASP, CSV injection), also in the widths of East Asian keyboards.
const FORMULAS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// The mark of a text in a spreadsheet.
const MARK: char = '\'';

/// A text as it is written to a file: no formula.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_formula(text) { Cow::Owned(format!("{MARK}{text}")) } else { Cow::Borrowed(text) }
}

/// A text as it was before it was guarded.
pub fn bare(text: &str) -> &str {
    if is_formula(text) { text.strip_prefix(MARK).unwrap_or(text) } else { text }
}

/// Whether it is a formula, or looks like one that is guarded.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches(MARK).starts_with(FORMULAS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_become_texts() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("-10 °C sealant", "'-10 °C sealant"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("saw = tool", "saw = tool"),
            ("'twas", "'twas"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), written);
            assert_eq!(bare(written), text);
        }
        assert_eq!(bare("=1"), "=1", "a file that nobody guarded is taken as it is");
    }

    proptest! {
        #[test]
        fn nothing_changes_on_the_way(text in any::<String>(), signs in "['=+@\t-]{0,5}") {
            for text in [text.clone(), signs.clone(), format!("{signs}{text}")] {
                let written = guarded(&text);
                prop_assert!(!written.starts_with(FORMULAS));
                prop_assert_eq!(bare(&written), text.as_str());
            }
        }
    }
}
