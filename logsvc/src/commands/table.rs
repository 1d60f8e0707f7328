//! Aligned columns: as wide as what stands in them, coloured only on a terminal.

use crate::line::escape;

/// What is told apart at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Good,
    Doubtful,
    Bad,
    Faint,
    Name,
}

impl Colour {
    /// The parameter of the terminal's escape sequence (ECMA-48, SGR).
    fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Doubtful => 33,
            Self::Bad => 31,
            Self::Faint => 2,
            Self::Name => 36,
        }
    }

    /// Appends words in this colour.
    pub(super) fn paint(self, words: &str, text: &mut String) {
        text.push_str(&format!("\u{1b}[{}m{words}\u{1b}[0m", self.code()));
    }
}

/// One field of a line.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Cell {
    /// The same in a colour.
    pub(super) fn coloured(mut self, colour: Option<Colour>) -> Self {
        self.colour = colour;
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        // What others say of themselves must not move the cursor.
        let mut harmless = String::new();
        escape(&text.into(), "", &mut harmless);
        Self { text: harmless, colour: None }
    }
}

/// Columns that grow with what is printed in them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    widths: Vec<usize>,
    coloured: bool,
}

impl Columns {
    pub(super) fn new(coloured: bool) -> Self {
        Self { widths: Vec::new(), coloured }
    }

    pub(super) fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Makes room for a line that will be printed.
    pub(super) fn measure(&mut self, cells: &[Cell]) {
        self.widths.resize(self.widths.len().max(cells.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = cell.width().max(*width);
        }
    }

    /// A line with its end; nothing trails after its last word.
    pub(super) fn line(&mut self, cells: &[Cell]) -> String {
        self.measure(cells);
        let last = cells.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
        let mut line = String::new();
        for (n, (cell, width)) in cells.iter().zip(&self.widths).take(last).enumerate() {
            match cell.colour.filter(|_| self.coloured) {
                Some(colour) => colour.paint(&cell.text, &mut line),
                None => line.push_str(&cell.text),
            }
            if n + 1 < last {
                line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
            }
        }
        line + "\n"
    }
}

/// A table under a head. Columns in which nobody has anything are left out.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|name| Cell::from(*name).coloured(Some(Colour::Faint)));
        Self { head: head.collect(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub(super) fn add(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Its lines; none without rows.
    pub(super) fn lines(&self, coloured: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let is_used = |column: usize| self.rows.iter().any(|row| row.get(column).is_some_and(|c| !c.text.is_empty()));
        let used: Vec<usize> = (0..self.head.len()).filter(|column| is_used(*column)).collect();
        let lines: Vec<Vec<Cell>> = [&self.head]
            .into_iter()
            .chain(&self.rows)
            .map(|row| used.iter().map(|column| row.get(*column).cloned().unwrap_or_default()).collect())
            .collect();
        let mut columns = Columns::new(coloured);
        lines.iter().for_each(|line| columns.measure(line));
        lines.iter().map(|line| columns.line(line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "ZONE", "STATE", "WHY"]);
        table.add(vec!["straße".into(), "".into(), Cell::from("READY").coloured(Some(Colour::Good)), "".into()]);
        table.add(vec!["a".into(), "".into(), "DOWN".into(), "lease\nexpired".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        assert_eq!(table().lines(false), "NAME    STATE  WHY\nstraße  READY\na       DOWN   lease\\nexpired\n");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let lines = table().lines(true);

        assert!(lines.contains("straße  \u{1b}[32mREADY\u{1b}[0m\n"), "{lines:?}");
        assert!(lines.contains("a       DOWN   lease\\nexpired\n"), "{lines:?}");
    }

    #[test]
    fn columns_grow_while_lines_come() {
        let mut columns = Columns::new(false);

        assert_eq!(columns.line(&["a".into(), "b".into()]), "a  b\n");
        assert_eq!(columns.line(&["aaa".into(), "b".into()]), "aaa  b\n");
        assert_eq!(columns.line(&["a".into(), "b".into()]), "a    b\n");
    }
}
