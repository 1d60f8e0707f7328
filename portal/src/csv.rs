//! Rows of a CSV file, written as they come. What a cell may hold is `mesh::cell`'s business.

use std::borrow::Cow;

/// Tells spreadsheets that a file is UTF-8; whoever imports skips it.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What parts cells or ends them, for us or for others.
const PARTING: [char; 6] = [',', ';', '\t', '"', '\n', '\r'];

/// Adds a row of a CSV file (RFC 4180, but lines end with a line feed).
pub(crate) fn write_row<'a>(cells: impl IntoIterator<Item = Cow<'a, str>>, into: &mut String) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            into.push(',');
        }
        if cell.contains(PARTING) {
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
    fn cells_that_need_them_stand_in_quotes() {
        let mut text = String::new();
        write_row(["3/4\" pipe".into(), "a,b".into(), "two\nlines".into(), "plain".into(), "".into()], &mut text);
        write_row(["a;b".into(), "a\tb".into()], &mut text);
        assert_eq!(text, "\"3/4\"\" pipe\",\"a,b\",\"two\nlines\",plain,\n\"a;b\",\"a\tb\"\n");
    }
}
