//! Cells of a CSV file that a spreadsheet would take for formulas.
//!
//! What an export guards, an import takes away again, so that nothing changes on the way.

use std::borrow::Cow;

/// What formulas begin with (OWASP, CSV injection), also in the widths of East Asian keyboards.
const SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// What some skip before a formula.
const SPACES: [char; 3] = ['\t', '\r', '\n'];

/// Behind these a cell begins for whoever parts a file by another sign than we do, as Excel does where the comma stands
/// in numbers.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// The mark of a text in a spreadsheet.
const MARK: char = '\'';

/// A text as it is written to a file: no formula, neither it nor a part of it that could become a cell.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if !parts(text).any(is_formula) {
        return Cow::Borrowed(text);
    }
    let mut guarded = String::with_capacity(text.len() + 1);
    for part in parts(text) {
        if is_formula(part) {
            guarded.push(MARK);
        }
        guarded.push_str(part.1);
    }
    Cow::Owned(guarded)
}

/// A text as it was before it was guarded.
pub fn bare(text: &str) -> Cow<'_, str> {
    let is_guarded = |part: (bool, &str)| part.1.starts_with(MARK) && is_formula(part);
    if !parts(text).any(is_guarded) {
        return Cow::Borrowed(text);
    }
    let mut bare = String::with_capacity(text.len());
    for part in parts(text) {
        let mark = if is_guarded(part) { MARK.len_utf8() } else { 0 };
        bare.push_str(&part.1[mark..]);
    }
    Cow::Owned(bare)
}

/// What could become cells, each with the separator behind it, and whether it is the first.
fn parts(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.split_inclusive(SEPARATORS).enumerate().map(|(place, part)| (place == 0, part))
}

/// Whether a part is a formula, or looks like one that is guarded.
fn is_formula((is_first, part): (bool, &str)) -> bool {
    if is_first {
        let text = part.trim_start_matches(MARK);
        return text.starts_with(SIGNS) || text.starts_with(SPACES);
    }
    // A quote there is one that was doubled: the two would be an empty text, and what follows them the cell.
    part.trim_start_matches([MARK, '"']).starts_with(SIGNS)
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
            ("\n=1", "'\n'=1"),
            ("x;=cmd|'/C calc'!A0;y", "x;'=cmd|'/C calc'!A0;y"),
            ("x;'=1", "x;''=1"),
            ("x;\"\"=1", "x;'\"\"=1"),
            ("x\t+1\r\n-1", "x\t'+1\r\n'-1"),
            ("=1;=2", "'=1;'=2"),
            ("a;b;-c", "a;b;'-c"),
            ("saw = tool", "saw = tool"),
            ("saw; x=1", "saw; x=1"),
            ("3/4\" - 1\"", "3/4\" - 1\""),
            ("'twas", "'twas"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), written);
            assert_eq!(bare(written), text);
        }
        assert_eq!(bare("=1;=2"), "=1;=2", "a file that nobody guarded is taken as it is");
    }

    proptest! {
        #[test]
        fn nothing_changes_on_the_way(text in any::<String>(), signs in "['\"=+@;\t\r\n-]{0,8}") {
            for text in [text.clone(), signs.clone(), format!("{signs}{text}"), format!("{text}{signs}x{signs}")] {
                let written = guarded(&text);
                prop_assert!(!written.starts_with(SPACES));
                for part in written.split(SEPARATORS) {
                    prop_assert!(!part.starts_with(SIGNS));
                }
                for part in written.split(SEPARATORS).skip(1) {
                    prop_assert!(!part.trim_start_matches('"').starts_with(SIGNS));
                }
                prop_assert_eq!(bare(&written), text.as_str());
            }
        }
    }
}
