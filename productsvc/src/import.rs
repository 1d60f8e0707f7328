//! An import: its rows, which of them are good, why others are refused, and its job.
//!
//! Pure: what is stored of it is the store's business, how rows arrive the service's.

mod checker;
pub mod damage;
mod job;
mod preview;
mod seen;

use crate::product::Draft;
use crate::text::cut;

pub use checker::Checker;
pub use job::{Counts, Job, State};
pub use preview::{Conflict, Preview};

/// What happens with a row, by whether a product has its SKU already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The product is changed, or added.
    Upsert,
    /// A row whose SKU is taken is refused.
    Create,
    /// A row whose SKU no product has is refused.
    Update,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Upsert, Self::Create, Self::Update];

    /// What the database calls it: its place in the list, which only grows.
    pub fn code(self) -> i64 {
        self as i64
    }

    /// Reads back what the database calls it.
    pub fn parse(code: i64) -> Self {
        Self::ALL.into_iter().find(|mode| mode.code() == code).unwrap_or(Self::Upsert)
    }
}

/// How rows become changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// What happens with a row, by whether its SKU is taken.
    pub mode: Mode,
    /// Whether SKUs that a spreadsheet damaged are taken as they are.
    pub allow_damaged: bool,
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

/// So much of each text of a refused row is kept: more than any correct one has, and
/// enough to correct it by.
pub const KEPT_CHARACTERS: usize = 2000;

impl Row {
    /// What is kept of it when it is refused, and whether that is less than all.
    pub fn kept(&self) -> (Self, bool) {
        let is_long = |text: &str| text.chars().nth(KEPT_CHARACTERS).is_some();
        let is_cut = [&self.name, &self.category, &self.sku].into_iter().any(|text| is_long(text));
        let kept = |text: &str| cut(text, KEPT_CHARACTERS);
        let (name, category, sku) = (kept(&self.name), kept(&self.category), kept(&self.sku));
        (Self { line: self.line, name, category, sku }, is_cut)
    }
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
        Refused { row, is_cut: false, field: "sku".to_owned(), reason, message }
    }
}

/// A row that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The row, with as much of each text as is kept.
    pub row: Row,
    /// Whether that is less than all of it.
    pub is_cut: bool,
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
    /// No product has the SKU, and only those that one has are wanted.
    ProductNotFound,
    /// A spreadsheet made something else of the SKU.
    SpreadsheetDamage,
}

impl Reason {
    const ALL: [Self; 5] =
        [Self::InvalidField, Self::SkuTaken, Self::DuplicateSku, Self::ProductNotFound, Self::SpreadsheetDamage];

    /// What the database calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidField => "INVALID_FIELD",
            Self::SkuTaken => "SKU_TAKEN",
            Self::DuplicateSku => "DUPLICATE_SKU",
            Self::ProductNotFound => "PRODUCT_NOT_FOUND",
            Self::SpreadsheetDamage => "SPREADSHEET_DAMAGE",
        }
    }

    /// Reads back what the database calls it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Rows that are stored in one transaction. Enough that the disk's share of each
/// is small, few enough that others who write do not notice.
pub const PIECE: usize = 500;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_back() {
        for mode in Mode::ALL {
            assert_eq!(Mode::parse(mode.code()), mode);
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!((Mode::Upsert.code(), Mode::Update.code()), (0, 2));
    }

    #[test]
    fn a_row_says_when_not_all_of_it_is_kept() {
        let row = |name: String| Row { line: 2, name, category: "Tools".to_owned(), sku: "A".to_owned() };

        let (whole, is_cut) = row("ä".repeat(KEPT_CHARACTERS)).kept();
        assert!(!is_cut && whole.name.chars().count() == KEPT_CHARACTERS);
        let (part, is_cut) = row("ä".repeat(KEPT_CHARACTERS + 1)).kept();
        assert!(is_cut && part.name == whole.name);
    }
}
