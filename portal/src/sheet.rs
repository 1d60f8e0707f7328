//! A CSV file as rows of products, while it arrives: bytes in, rows out, and little in between.
//!
//! It takes what the command line of the product service takes, and says the same of it:
//! columns in any order and case, other columns named and ignored, comma, semicolon or
//! tab, empty rows skipped and counted, each row with the line that it begins on.

pub(crate) mod encoding;
pub(crate) mod fault;
mod records;

use mesh::cell::bare;
use proto::products::ImportRow;

use crate::sheet::{
    encoding::{Choice, Encoding, Text, Unreadable},
    fault::Fault,
    records::{LONGEST_FIELD, Record, Records},
};

/// What parts the columns of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Comma,
    Semicolon,
    Tab,
}

/// What was noticed of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noticed {
    pub(crate) encoding: Encoding,
    pub(crate) delimiter: Delimiter,
    /// Columns that are none of a product's.
    pub(crate) ignored: Vec<String>,
    /// Rows without any text, which are skipped.
    pub(crate) empty: u64,
}

/// A file that arrives.
pub(crate) struct Sheet {
    text: Text,
    /// Text before its first line is whole, and so the delimiter known.
    start: String,
    table: Option<Table>,
    rows: Vec<ImportRow>,
}

/// What is read by its header.
struct Table {
    records: Records,
    /// Where name, category and SKU are; none before the header was read.
    columns: Option<[usize; 3]>,
    width: usize,
    noticed: Noticed,
}

impl Delimiter {
    /// The first of equals counts, when a line has as many of several.
    pub(crate) const ALL: [Delimiter; 3] = [Delimiter::Comma, Delimiter::Semicolon, Delimiter::Tab];

    /// How an address says it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Delimiter::Comma => "comma",
            Delimiter::Semicolon => "semicolon",
            Delimiter::Tab => "tab",
        }
    }

    fn byte(self) -> u8 {
        match self {
            Delimiter::Comma => b',',
            Delimiter::Semicolon => b';',
            Delimiter::Tab => b'\t',
        }
    }
}

impl Sheet {
    pub(crate) fn new(choice: Choice) -> Sheet {
        Sheet { text: Text::new(choice), start: String::new(), table: None, rows: Vec::new() }
    }

    /// Takes a piece of the file in.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut text = String::new();
        let decoded = self.text.decode(bytes, &mut text);
        self.read(&text, decoded)
    }

    /// Takes its end in. All rows are there behind it.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        let mut text = String::new();
        let decoded = self.text.finish(&mut text);
        self.read(&text, decoded)?;
        // The last line may lack its end, and a file its only one.
        self.read("\n", Ok(()))?;
        if self.table.is_none() {
            self.begin()?;
        }
        match &self.table {
            Some(table) if table.records.is_open() => Err(Fault::OpenQuote { line: table.records.line() }),
            Some(Table { columns: Some(_), .. }) => Ok(()),
            _ => Err(Fault::Empty),
        }
    }

    /// The rows that came since the last time.
    pub(crate) fn rows(&mut self) -> &mut Vec<ImportRow> {
        &mut self.rows
    }

    /// What was noticed, once the header was read.
    pub(crate) fn noticed(&self) -> Option<&Noticed> {
        self.table.as_ref().filter(|table| table.columns.is_some()).map(|table| &table.noticed)
    }

    /// Reads text, and then says whether it is followed by what is none.
    fn read(&mut self, text: &str, decoded: Result<(), Unreadable>) -> Result<(), Fault> {
        match &mut self.table {
            Some(table) => table.records.push(text),
            None => {
                self.start.push_str(text);
                if first_line(&self.start).is_some() {
                    self.begin()?;
                } else if self.start.len() > LONGEST_FIELD {
                    return Err(Fault::LongHeader);
                }
            }
        }
        if let Some(table) = &mut self.table {
            table.read(&mut self.rows)?;
        }
        decoded.map_err(|unreadable| match unreadable {
            Unreadable::File(fault) => fault,
            Unreadable::Byte(encoding) => {
                let lines = |start: &str| 1 + start.matches('\n').count() as u64;
                let line = self.table.as_ref().map_or_else(|| lines(&self.start), |table| table.records.line());
                Fault::Undecodable { line, encoding: encoding.label() }
            }
        })
    }

    /// Notices the delimiter, which the first line has most of.
    fn begin(&mut self) -> Result<(), Fault> {
        let start = std::mem::take(&mut self.start);
        let line = first_line(&start).unwrap_or(&start);
        let delimiter = Delimiter::ALL
            .into_iter()
            .rev()
            .max_by_key(|delimiter| outside_quotes(line).filter(|(_, byte)| *byte == delimiter.byte()).count())
            .unwrap_or(Delimiter::Comma);
        let mut records = Records::new(delimiter.byte());
        records.push(&start);
        let encoding = self.text.encoding().unwrap_or(Encoding::Utf8);
        let noticed = Noticed { encoding, delimiter, ignored: Vec::new(), empty: 0 };
        self.table.insert(Table { records, columns: None, width: 0, noticed }).read(&mut self.rows)
    }
}

impl Table {
    /// Makes rows of the records that are whole.
    fn read(&mut self, rows: &mut Vec<ImportRow>) -> Result<(), Fault> {
        while let Some(record) = self.records.next()? {
            let is_empty = record.fields().all(|field| field.trim().is_empty());
            let Some(columns) = self.columns else {
                if is_empty {
                    continue;
                }
                self.columns = Some(columns(&record)?);
                self.width = record.len();
                let others = record
                    .fields()
                    .enumerate()
                    .filter(|(place, _)| self.columns.is_some_and(|own| !own.contains(place)));
                let titles = others.map(|(_, title)| title.trim()).filter(|title| !title.is_empty());
                self.noticed.ignored = titles.map(str::to_owned).collect();
                continue;
            };
            if is_empty {
                self.noticed.empty += 1;
                continue;
            }
            if record.fields().skip(self.width).any(|field| !field.trim().is_empty()) {
                return Err(Fault::ManyColumns { line: record.line, has: record.len(), expected: self.width });
            }
            // What a short row lacks is empty; the product service says so.
            let [name, category, sku] = columns.map(|place| bare(record.field(place)).into_owned());
            rows.push(ImportRow { line: i64::try_from(record.line).unwrap_or(i64::MAX), name, category, sku });
        }
        Ok(())
    }
}

/// Where a header has the columns of a product.
fn columns(header: &Record<'_>) -> Result<[usize; 3], Fault> {
    let find = |column: &'static str| {
        let mut places = header.fields().enumerate().filter(|(_, title)| title.trim().eq_ignore_ascii_case(column));
        match (places.next(), places.next()) {
            (Some((place, _)), None) => Ok(place),
            (Some(_), Some(_)) => Err(Fault::DoubleColumn { column }),
            (None, _) => Err(Fault::MissingColumn { missing: column, has: titles(header) }),
        }
    };
    Ok([find("name")?, find("category")?, find("sku")?])
}

/// The titles of a header for a sentence: the first few, and of each its beginning.
fn titles(header: &Record<'_>) -> String {
    let shown = header.fields().take(8).map(|title| format!("“{}”", title.trim().chars().take(40).collect::<String>()));
    let more = if header.len() > 8 { " and others" } else { "" };
    format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
}

/// The first line that says anything, once it is whole.
fn first_line(start: &str) -> Option<&str> {
    let start = start.trim_ascii_start();
    let end = outside_quotes(start).find(|(_, byte)| matches!(byte, b'\n' | b'\r'));
    end.map(|(place, _)| &start[..place])
}

fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut quoted = false;
    text.bytes().enumerate().filter(move |(_, byte)| {
        quoted ^= *byte == b'"';
        !quoted
    })
}

#[cfg(test)]
mod tests;
