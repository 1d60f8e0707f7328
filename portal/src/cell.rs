//! Cells of CSV files: written so that no spreadsheet takes one for a formula, and read back as they were.
//!
//! The command line of the product service guards and bares the same cells in the same
//! way, so that a file goes from either to the other and nothing changes.

use std::borrow::Cow;

/// What formulas begin with (OWASP, CSV injection), the wide signs of East Asian keyboards included.
const SIGNS: &[char] = &['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// Stands before what is to be read as text.
const MARK: char = '\'';

/// Tells spreadsheets that a file is UTF-8; whoever imports skips it.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A text that no spreadsheet takes for a formula.
pub(crate) fn guarded(text: &str) -> Cow<'_, str> {
    if is_sign(text) { format!("{MARK}{text}").into() } else { text.into() }
}

/// The text that was guarded.
pub(crate) fn bare(text: &str) -> &str {
    match text.strip_prefix(MARK) {
        Some(rest) if is_sign(rest) => rest,
        _ => text,
    }
}

/// Whether a text begins with a sign, behind any number of marks: so a mark that is the text's own survives.
fn is_sign(text: &str) -> bool {
    text.trim_start_matches(MARK).starts_with(SIGNS)
}

/// Adds a row of a CSV file (RFC 4180, but lines end with a line feed).
pub(crate) fn write_row<'a>(cells: impl IntoIterator<Item = Cow<'a, str>>, into: &mut String) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            into.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            into.push('"');
            into.push_str(&cell.replace('"', "\"\""));
            into.push('"');
        } else {
            into.push_str(&cell);
        }
    }
    into.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guarded_is_no_formula_and_comes_back_as_it_was() {
        for text in
            ["=1+1", "-10 °C sealant", "@SUM(A1)", "+49", "\tx", "\rx", "＝1", "'=1", "''-", "'twas", "saw = tool", ""]
        {
            let written = guarded(text);
            assert!(!written.starts_with(SIGNS), "{written}");
            assert_eq!(bare(&written), text);
        }
        assert_eq!(guarded("'twas"), "'twas");
        assert_eq!(bare("=1"), "=1", "what nobody guarded stays");
    }

    #[test]
    fn cells_that_need_them_stand_in_quotes() {
        let mut text = String::new();
        write_row(["3/4\" pipe".into(), "a,b".into(), "two\nlines".into(), "plain".into(), "".into()], &mut text);
        assert_eq!(text, "\"3/4\"\" pipe\",\"a,b\",\"two\nlines\",plain,\n");
    }
}
