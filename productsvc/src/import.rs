//! An import: rows, which of them are good, and why others are refused.
//!
//! Pure: what is stored of it is the store's business, how rows arrive the service's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};

use jiff::Timestamp;

use crate::error::{Error, Fault};
use crate::product::Draft;
use crate::text::cut;

/// What happens with a row whose SKU a product has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The product is changed.
    Upsert,
    /// The row is refused.
    Create,
}

/// A row as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line of the file it begins on.
    pub line: i64,
    /// What the product is called.
    pub name: String,
    /// Where it belongs.
    pub category: String,
    /// The stock keeping unit.
    pub sku: String,
}

/// A row that can be stored.
#[derive(Debug, Clone)]
pub struct GoodRow {
    /// The line of the file it begins on.
    pub line: i64,
    /// What it says.
    pub draft: Draft,
}

impl GoodRow {
    /// Refuses the row after all.
    pub fn refused(&self, reason: Reason, message: String) -> Refused {
        let Draft { name, category, sku } = &self.draft;
        let row = Row {
            line: self.line,
            name: name.as_str().to_owned(),
            category: category.as_str().to_owned(),
            sku: sku.as_str().to_owned(),
        };
        Refused { row, field: "sku".to_owned(), reason, message }
    }
}

/// A row that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The row, each text cut at its limit.
    pub row: Row,
    /// The first field that is at fault.
    pub field: String,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

/// Why a row was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A field is empty, too long or malformed.
    InvalidField,
    /// A product has the SKU already.
    SkuTaken,
    /// An earlier line has the SKU already.
    DuplicateSku,
}

impl Reason {
    const ALL: [Self; 3] = [Self::InvalidField, Self::SkuTaken, Self::DuplicateSku];

    /// What the database calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidField => "INVALID_FIELD",
            Self::SkuTaken => "SKU_TAKEN",
            Self::DuplicateSku => "DUPLICATE_SKU",
        }
    }

    /// Reads back what the database calls it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Given when it began.
    pub id: i64,
    /// Where the rows come from, for people.
    pub source: String,
    /// The last line that is dealt with.
    pub mark: i64,
    /// What became of the rows so far.
    pub counts: Counts,
    /// When it began.
    pub create_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
}

/// What became of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were read.
    pub rows: i64,
    /// Products that were added.
    pub created: i64,
    /// Products that were changed.
    pub updated: i64,
    /// Rows that are as the catalogue has them.
    pub unchanged: i64,
    /// Rows that were refused.
    pub refused: i64,
}

/// Rows that are stored together, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// Rows to store.
    pub good: Vec<GoodRow>,
    /// Rows that are refused already.
    pub refused: Vec<Refused>,
    /// The line of its last row; 0 without one.
    pub last_line: i64,
}

impl Piece {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.good.len() + self.refused.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Checks the rows of one import in their order and gathers them into pieces.
#[derive(Debug, Default)]
pub struct Checker {
    piece: Piece,
    last_line: i64,
    /// The line that each SKU stands on, by a hash of its key: 16 bytes a row
    /// instead of the text. That two of a million differing SKUs share a 64-bit
    /// hash happens once in 37 million imports.
    lines: HashMap<u64, i64>,
    hasher: RandomState,
}

impl Checker {
    /// Checks a row; of an import that goes on, rows up to `mark` are only remembered.
    pub fn add(&mut self, row: &Row, mark: i64) -> Result<(), Error> {
        if row.line <= self.last_line {
            let problem =
                format!("must rise from row to row and begin above 0: {} comes after {}", row.line, self.last_line);
            return Err(Error::invalid("rows.line", problem));
        }
        self.last_line = row.line;
        let checked = self.check(row);
        if row.line > mark {
            self.piece.last_line = row.line;
            match checked {
                Checked::Good(good) => self.piece.good.push(good),
                Checked::Refused(refused) => self.piece.refused.push(refused),
            }
        }
        Ok(())
    }

    /// How many rows wait for being stored.
    pub fn waiting(&self) -> usize {
        self.piece.len()
    }

    /// Takes the rows that wait.
    pub fn take(&mut self) -> Piece {
        std::mem::take(&mut self.piece)
    }

    fn check(&mut self, row: &Row) -> Checked {
        let draft = match Draft::parse(&row.name, &row.category, &row.sku) {
            Ok(draft) => draft,
            Err(faults) => return Checked::Refused(invalid(row, &faults)),
        };
        let good = GoodRow { line: row.line, draft };
        let hash = self.hasher.hash_one(good.draft.sku.key());
        match self.lines.entry(hash) {
            Entry::Occupied(earlier) => {
                let message = format!("the SKU stands on line {} already", earlier.get());
                Checked::Refused(good.refused(Reason::DuplicateSku, message))
            }
            Entry::Vacant(first) => {
                first.insert(row.line);
                Checked::Good(good)
            }
        }
    }
}

/// What became of a row.
enum Checked {
    Good(GoodRow),
    Refused(Refused),
}

fn invalid(row: &Row, faults: &[Fault]) -> Refused {
    let row =
        Row { line: row.line, name: cut(&row.name, 200), category: cut(&row.category, 120), sku: cut(&row.sku, 64) };
    let field = faults.first().map(|fault| fault.field.clone()).unwrap_or_default();
    let message = Error::Invalid(faults.to_vec()).to_string();
    Refused { row, field, reason: Reason::InvalidField, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: i64, sku: &str) -> Row {
        Row { line, name: format!("Product {line}"), category: "Tools".to_owned(), sku: sku.to_owned() }
    }

    #[test]
    fn good_rows_and_refused_ones_are_parted() {
        let mut checker = Checker::default();
        checker.add(&row(2, "A"), 0).unwrap();
        checker.add(&row(3, " "), 0).unwrap();

        let piece = checker.take();

        assert_eq!((piece.good.len(), piece.refused.len(), piece.last_line), (1, 1, 3));
        assert_eq!((piece.refused[0].field.as_str(), piece.refused[0].reason), ("sku", Reason::InvalidField));
        assert!(checker.take().is_empty());
    }

    #[test]
    fn a_repeated_sku_names_the_earlier_line() {
        let mut checker = Checker::default();
        checker.add(&row(2, "abc-1"), 0).unwrap();
        checker.add(&row(9, "ABC-1"), 0).unwrap();

        let refused = checker.take().refused;

        assert_eq!(refused[0].reason, Reason::DuplicateSku);
        assert_eq!(refused[0].message, "the SKU stands on line 2 already");
    }

    #[test]
    fn an_import_that_goes_on_remembers_the_rows_it_skips() {
        let mut checker = Checker::default();
        checker.add(&row(2, "A"), 2).unwrap();
        checker.add(&row(3, "a"), 2).unwrap();

        let piece = checker.take();

        assert_eq!((piece.good.len(), piece.refused.len()), (0, 1));
    }

    #[test]
    fn lines_must_rise() {
        for line in [i64::MIN, -1, 0] {
            assert!(Checker::default().add(&row(line, "A"), 0).is_err(), "{line}");
        }
        let mut checker = Checker::default();
        checker.add(&row(5, "A"), 0).unwrap();
        assert!(checker.add(&row(5, "B"), 0).is_err());
    }

    #[test]
    fn a_refused_row_is_cut_at_its_limits() {
        let huge = "x".repeat(1_000_000);
        let mut checker = Checker::default();
        checker.add(&Row { line: 1, name: huge.clone(), category: huge.clone(), sku: huge }, 0).unwrap();

        let refused = checker.take().refused.remove(0);

        assert_eq!((refused.row.name.len(), refused.row.category.len(), refused.row.sku.len()), (200, 120, 64));
        assert!(refused.message.len() < 300, "{}", refused.message);
    }
}
