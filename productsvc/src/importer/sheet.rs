//! A CSV file as rows of products, with the line that each begins on.
//!
//! Takes what spreadsheets write: a byte order mark or none, any line end, comma,
//! semicolon or tab, columns in any order. What it cannot read it names by line.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::import::Row;
use crate::importer::lines::{END, LONGEST_RECORD, Lines};
use mesh::cell::bare;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum SheetError {
    // It says its cause itself, also among several; as a source it would be said twice.
    #[error("could not read the file: {0}")]
    Io(std::io::Error),
    #[error("the file is empty: it needs a header with the columns name, category and sku")]
    Empty,
    #[error("the file is UTF-16: save it as \"CSV UTF-8\" and import it again")]
    Utf16,
    #[error("line {line} is not UTF-8: save the file as \"CSV UTF-8\" and import it again")]
    NotUtf8 { line: i64 },
    #[error("the header has no column {missing}; it has {has}")]
    MissingColumn { missing: &'static str, has: String },
    #[error("the header has the column {column} twice")]
    DoubleColumn { column: &'static str },
    #[error(
        "the row on line {line} has {has} columns, the header has {expected}: put text with a separator in it between quotes"
    )]
    TooManyColumns { line: i64, has: usize, expected: usize },
    #[error("the row on line {line} is longer than {} KiB: is there a quote that is never closed?", LONGEST_RECORD / 1024)]
    TooLong { line: i64 },
    #[error("the row on line {line} has a quote that is never closed")]
    OpenQuote { line: i64 },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<SheetError>),
}

impl From<std::io::Error> for SheetError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is known of a file that can be read to its end.
#[derive(Debug)]
pub(super) struct Survey {
    /// Its size.
    pub(super) bytes: u64,
    /// Columns that are none of a product's.
    pub(super) ignored: Vec<String>,
    /// How many rows are skipped, being empty.
    pub(super) empty: u64,
}

/// More faults than these are not listed: the first few show the pattern.
const MOST_FAULTS: usize = 20;

/// Reads a file to its end, so that nothing is sent of one that is broken.
pub(super) fn survey(path: &Path) -> Result<Survey, SheetError> {
    let mut sheet = Sheet::open(path)?;
    let mut faults = Vec::new();
    loop {
        match sheet.next_row() {
            Ok(Some(_)) => {}
            Ok(None) if faults.is_empty() => break,
            Ok(None) => return Err(SheetError::Several(faults)),
            Err(fault @ SheetError::TooManyColumns { .. }) if faults.len() < MOST_FAULTS => faults.push(fault),
            Err(fault) => {
                faults.push(fault);
                return Err(SheetError::Several(faults));
            }
        }
    }
    Ok(Survey { bytes: sheet.bytes_read(), empty: sheet.empty, ignored: std::mem::take(&mut sheet.ignored) })
}

/// A CSV file that is being read.
pub(super) struct Sheet {
    reader: csv::Reader<Lines<BufReader<File>>>,
    columns: Columns,
    width: usize,
    ignored: Vec<String>,
    empty: u64,
    record: ByteRecord,
}

#[derive(Debug, Clone, Copy)]
struct Columns {
    name: usize,
    category: usize,
    sku: usize,
}

impl Sheet {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> Result<Self, SheetError> {
        let mut file = BufReader::with_capacity(64 * 1024, File::open(path)?);
        let start = file.fill_buf()?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(SheetError::Utf16);
        }
        let delimiter = delimiter(start);
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(Lines::new(file));
        let columns = Columns { name: 0, category: 0, sku: 0 };
        let mut sheet = Self { reader, columns, width: 0, ignored: Vec::new(), empty: 0, record: ByteRecord::new() };
        sheet.read_header()?;
        Ok(sheet)
    }

    /// How far into the file the reading is.
    pub(super) fn bytes_read(&self) -> u64 {
        self.reader.get_ref().bytes_read()
    }

    /// The next row; rows without any text are skipped.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, SheetError> {
        loop {
            let Some(line) = self.next_record()? else { return Ok(None) };
            if self.record.iter().all(<[u8]>::is_empty_text) {
                self.empty += 1;
                continue;
            }
            let extra = self.record.iter().skip(self.width);
            if !extra.into_iter().all(<[u8]>::is_empty_text) {
                return Err(SheetError::TooManyColumns { line, has: self.record.len(), expected: self.width });
            }
            // A column that a short row lacks is empty; the service says so.
            let text = |column: usize| match std::str::from_utf8(self.record.get(column).unwrap_or_default()) {
                Ok(text) => Ok(bare(text).into_owned()),
                Err(_) => Err(SheetError::NotUtf8 { line }),
            };
            let Columns { name, category, sku } = self.columns;
            return Ok(Some(Row { line, name: text(name)?, category: text(category)?, sku: text(sku)? }));
        }
    }

    /// Reads a record, and answers the line it begins on.
    fn next_record(&mut self) -> Result<Option<i64>, SheetError> {
        self.reader.get_mut().begin_record();
        let before = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                let too_long = self.reader.get_mut().bytes_read() > 0
                    && !matches!(error.kind(), csv::ErrorKind::Io(io) if io.kind() != std::io::ErrorKind::Other);
                return Err(if too_long {
                    SheetError::TooLong { line: line_number(before) }
                } else {
                    SheetError::Io(error.into())
                });
            }
        }
        // The reader's own position of a record is that of blank lines before it.
        // Every record ends with a line feed, and has those in its quotes.
        let inside = self.record.iter().flatten().filter(|byte| **byte == b'\n').count();
        let line = line_number(self.reader.position().line() - 1) - i64::try_from(inside).unwrap_or(i64::MAX);
        if self.record.len() == 1 && &self.record[0] == END.as_bytes() {
            return Ok(None);
        }
        let end = END.as_bytes();
        if self.record.iter().any(|field| field.windows(end.len()).any(|part| part == end)) {
            // This one did not end with a line feed but with the file.
            return Err(SheetError::OpenQuote { line: line + 1 });
        }
        Ok(Some(line))
    }

    fn read_header(&mut self) -> Result<(), SheetError> {
        let line = self.next_record()?.ok_or(SheetError::Empty)?;
        let titles = self.record.iter().map(|title| std::str::from_utf8(title).map(|title| title.trim().to_owned()));
        let titles: Vec<String> = titles.collect::<Result<_, _>>().map_err(|_| SheetError::NotUtf8 { line })?;
        let find = |column: &'static str| {
            let mut found = titles
                .iter()
                .enumerate()
                .filter(|(_, title)| title.eq_ignore_ascii_case(column))
                .map(|(index, _)| index);
            match (found.next(), found.next()) {
                (Some(index), None) => Ok(index),
                (Some(_), Some(_)) => Err(SheetError::DoubleColumn { column }),
                (None, _) => Err(SheetError::MissingColumn {
                    missing: column,
                    has: titles.iter().map(|title| format!("{title:?}")).collect::<Vec<_>>().join(", "),
                }),
            }
        };
        self.columns = Columns { name: find("name")?, category: find("category")?, sku: find("sku")? };
        self.width = titles.len();
        let Columns { name, category, sku } = self.columns;
        let ours = [name, category, sku];
        let others = titles.into_iter().enumerate().filter(|(index, title)| !ours.contains(index) && !title.is_empty());
        self.ignored = others.map(|(_, title)| title).collect();
        Ok(())
    }
}

/// Whether a field says nothing.
trait EmptyText {
    fn is_empty_text(&self) -> bool;
}

impl EmptyText for [u8] {
    fn is_empty_text(&self) -> bool {
        self.trim_ascii().is_empty()
    }
}

fn line_number(line: u64) -> i64 {
    i64::try_from(line).unwrap_or(i64::MAX)
}

/// The separator that the first line has most of, outside quotes.
fn delimiter(start: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in start.iter().skip_while(|byte| byte.is_ascii_whitespace()) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            other if !quoted => {
                counts.iter_mut().filter(|(delimiter, _)| delimiter == other).for_each(|(_, count)| *count += 1)
            }
            _ => {}
        }
    }
    // The first of equals: a comma.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn rows(bytes: &[u8]) -> Result<Vec<(i64, String, String, String)>, SheetError> {
        let file = file(bytes);
        let mut sheet = Sheet::open(file.path())?;
        let mut rows = Vec::new();
        while let Some(row) = sheet.next_row()? {
            rows.push((row.line, row.name, row.category, row.sku));
        }
        Ok(rows)
    }

    fn row(line: i64, name: &str, category: &str, sku: &str) -> (i64, String, String, String) {
        (line, name.to_owned(), category.to_owned(), sku.to_owned())
    }

    #[test]
    fn columns_come_in_any_order_and_case() {
        assert_eq!(rows(b"SKU, Category ,nAmE\nA-1,Tools,Saw\n").unwrap(), [row(2, "Saw", "Tools", "A-1")]);
    }

    #[test]
    fn semicolons_and_tabs_are_noticed() {
        assert_eq!(
            rows(b"name;category;sku\n\"Saw, small\";Tools;A-1").unwrap(),
            [row(2, "Saw, small", "Tools", "A-1")]
        );
        assert_eq!(
            rows(b"name\tcategory\tsku\r\nSaw; small\tTools\tA-1\r\n").unwrap(),
            [row(2, "Saw; small", "Tools", "A-1")]
        );
    }

    #[test]
    fn each_row_knows_its_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "\u{feff}name,category,sku\n\n\"Saw\nwith two\nlines\",Tools,A-1\n\n\nNail,Tools,A-2\n\"x\n\",Tools,A-3".replace('\n', end);

            let lines: Vec<i64> = rows(text.as_bytes()).unwrap().iter().map(|row| row.0).collect();

            assert_eq!(lines, [3, 8, 9], "{end:?}");
        }
    }

    #[test]
    fn guarded_formulas_are_taken_as_they_were() {
        assert_eq!(rows(b"name,category,sku\n'=Saw,''-T,'twas\n").unwrap(), [row(2, "=Saw", "'-T", "'twas")]);
    }

    #[test]
    fn quotes_inside_text_are_kept() {
        assert_eq!(rows(b"name,category,sku\n3/4\" pipe,P,A\n\"3/4\"\" pipe\",P,B\n").unwrap()[0].1, "3/4\" pipe");
    }

    #[test]
    fn short_rows_are_filled_and_blank_ones_skipped() {
        assert_eq!(
            rows(b"name,category,sku\nSaw\n,,\n \nNail,Tools,A-2,,\n").unwrap(),
            [row(2, "Saw", "", ""), row(5, "Nail", "Tools", "A-2")]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_explained() {
        let explained = |bytes: &[u8]| rows(bytes).unwrap_err().to_string();

        assert!(explained(b"").contains("empty"));
        assert!(explained(b"\xff\xfen\0a\0").contains("UTF-16"));
        assert!(explained(b"name,category\na,b\n").contains("no column sku"));
        assert!(explained(b"name,category,sku,SKU\n").contains("sku twice"));
        assert!(explained(b"name,category,sku\nCaf\xe9,b,c\n").contains("line 2 is not UTF-8"));
        assert!(explained(b"name,category,sku\nSaw, small,Tools,A-1\n").contains("line 2 has 4 columns"));
        assert!(
            explained(b"name,category,sku\na,b,c\n\"Saw,Tools,A-1\nNail,Tools,A-2\n")
                .contains("line 3 has a quote that is never closed")
        );
        let huge = format!("name,category,sku\na,b,c\n\"{}\n", "x".repeat(400_000));
        assert!(explained(huge.as_bytes()).contains("line 3 is longer than 256 KiB"));
    }

    #[test]
    fn a_missing_file_says_its_cause_once() {
        let missing = survey(Path::new("/nope.csv")).map(|_| ()).unwrap_err();
        let message = format!("{:#}", anyhow::Error::from(missing));
        assert_eq!(message.matches("No such file").count(), 1, "{message}");
    }

    #[test]
    fn a_survey_names_every_crooked_row_and_the_ignored_columns() {
        let crooked = file(b"name,category,sku\na,b,c,d\na,b,c\na,b,c,d\n");
        let message = survey(crooked.path()).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("line 4") && !message.contains("line 3"), "{message}");

        let good = file(b"name,category,sku,price\na,b,c,1\n,,,\n");
        let survey = survey(good.path()).unwrap();
        assert_eq!((survey.ignored, survey.bytes, survey.empty), (vec!["price".to_owned()], 36, 1));
    }
}
