//! The first Rundoo's products: what becomes of each of its rows.
//!
//! Pure. Its table knew no limits and no unique SKUs, so that some rows may be none that
//! the catalogue takes. What becomes of those is decided by a person, and told: nothing is
//! lost or changed in silence.

use std::collections::{HashMap, HashSet};

use clap::ValueEnum;
use jiff::Timestamp;

use crate::category::Category;
use crate::error::Fault;
use crate::product::{Draft, Name, Product, Sku};
use crate::text::{cut, is_control};

mod report;
#[cfg(test)]
mod tests;

pub use report::{Finding, Report};

/// A row of the first Rundoo; what is missing or out of any range is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldRow {
    /// Its id, which the product keeps.
    pub id: i64,
    /// When it was added, in microseconds since 1970.
    pub create_time: Option<i64>,
    /// What it is called.
    pub name: Option<String>,
    /// Where it belongs.
    pub category: Option<String>,
    /// Its stock keeping unit.
    pub sku: Option<String>,
    /// How often it was changed, and one.
    pub version: Option<i64>,
}

/// What becomes of products whose SKU another one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Duplicates {
    /// The one with the lowest id keeps it; the others become deleted products
    KeepFirst,
    /// The one with the highest id keeps it; the others become deleted products
    KeepLast,
    /// The one with the lowest id keeps it; the others get a number behind theirs
    Rename,
}

/// What becomes of rows with values that the catalogue refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Refused {
    /// They stay in the old table only
    Leave,
    /// Their values are made such that it takes them
    Mend,
}

/// What a person decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resolution {
    /// About SKUs that several rows have.
    pub duplicates: Option<Duplicates>,
    /// About values that are refused.
    pub refused: Option<Refused>,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is a product as it was.
    Kept(Product),
    /// It is a product as it was, and is then deleted.
    Deleted(Product),
    /// It is a product as it was, and then gets this SKU.
    Renamed(Product, String),
    /// It is none.
    Left,
}

/// Decides about rows: each is shown to it twice, in the same order.
#[derive(Debug)]
pub struct Adoption {
    resolution: Resolution,
    now: Timestamp,
    /// The first and the last id that have a SKU, by its key.
    holders: HashMap<String, (i64, i64)>,
    /// Keys that were given to duplicates.
    given: HashSet<String>,
    report: Report,
}

/// A row that can be a product, and what had to be changed for that.
struct Readable {
    product: Product,
    sku_key: String,
    mended: Vec<String>,
    is_cleaned: bool,
}

impl Adoption {
    /// One that has seen nothing; what it mends or deletes, it does at `now`.
    pub fn new(resolution: Resolution, now: Timestamp) -> Self {
        Self { resolution, now, holders: HashMap::new(), given: HashSet::new(), report: Report::default() }
    }

    /// Notes who has which SKU: the first of the two times.
    pub fn survey(&mut self, row: &OldRow) {
        self.report.rows += 1;
        if let Ok(readable) = self.read(row) {
            let (first, last) = self.holders.entry(readable.sku_key).or_insert((row.id, row.id));
            (*first, *last) = ((*first).min(row.id), (*last).max(row.id));
        }
    }

    /// Decides about a row: the second of the two times.
    pub fn decide(&mut self, row: &OldRow) -> Fate {
        let Readable { product, sku_key, mended, is_cleaned } = match self.read(row) {
            Ok(readable) => readable,
            Err(problem) => {
                self.report.refused += 1;
                let resolved = self.resolution.refused.map(|_| "is left behind".to_owned());
                self.report.note(row, problem, resolved);
                return Fate::Left;
            }
        };
        self.report.cleaned += u64::from(is_cleaned);
        if !mended.is_empty() {
            self.report.refused += 1;
            self.report.note(row, mended.join("; "), Some("is mended".to_owned()));
        }
        let (first, last) = self.holders.get(&sku_key).copied().unwrap_or((row.id, row.id));
        let keeper = if self.resolution.duplicates == Some(Duplicates::KeepLast) { last } else { first };
        if keeper == row.id {
            self.report.adopted += 1;
            return Fate::Kept(product);
        }
        self.report.duplicates += 1;
        let problem = format!("has the SKU of product {keeper}");
        match self.resolution.duplicates {
            None => {
                self.report.note(row, problem, None);
                Fate::Left
            }
            Some(Duplicates::KeepFirst | Duplicates::KeepLast) => {
                self.report.adopted += 1;
                self.report.note(row, problem, Some("becomes a deleted product".to_owned()));
                Fate::Deleted(product)
            }
            Some(Duplicates::Rename) => {
                let sku = self.free_sku(&product.sku);
                self.report.adopted += 1;
                self.report.note(row, problem, Some(format!("gets the SKU {sku:?}")));
                Fate::Renamed(product, sku)
            }
        }
    }

    /// What came of it.
    pub fn report(self) -> Report {
        self.report
    }

    /// The row as a product, or what is wrong with it.
    fn read(&self, row: &OldRow) -> Result<Readable, String> {
        let mends = self.resolution.refused == Some(Refused::Mend);
        let mut faults = Vec::new();
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (name, category, sku) = (text(&row.name), text(&row.category), text(&row.sku));
        let draft = Draft::parse(&name, &category, &sku).or_else(|wrong| {
            faults.extend(wrong.iter().map(|fault| format!("{} {}", fault.field, fault.problem)));
            mend(row.id, (&name, &category, &sku))
        });
        let create_time = row.create_time.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        if create_time.is_none() {
            faults.push("created_at is no moment".to_owned());
        }
        let version = row.version.filter(|version| *version > 0);
        if version.is_none() {
            faults.push("version must be at least 1".to_owned());
        }
        if row.id < 1 {
            faults.push("id must be at least 1".to_owned());
        }
        let draft = match draft {
            Ok(draft) if faults.is_empty() || (mends && row.id > 0) => draft,
            _ => return Err(faults.join("; ")),
        };
        let create_time = create_time.unwrap_or(self.now);
        let product = Product {
            id: row.id,
            name: draft.name.as_str().to_owned(),
            category: draft.category.as_str().to_owned(),
            sku: draft.sku.as_str().to_owned(),
            version: version.unwrap_or(1),
            create_time,
            // It did not note when it changed a product.
            update_time: create_time,
            delete_time: None,
        };
        let is_cleaned =
            faults.is_empty() && (&name, &category, &sku) != (&product.name, &product.category, &product.sku);
        Ok(Readable { product, sku_key: draft.sku.key().to_owned(), mended: faults, is_cleaned })
    }

    /// The SKU with the first number behind it that makes it one that nobody has.
    fn free_sku(&mut self, sku: &str) -> String {
        let numbered = (2_u64..).map(|number| {
            let end = format!("-{number}");
            let room = Sku::LIMIT - end.len();
            (1..=room).rev().find_map(|length| Sku::parse(&format!("{}{end}", cut(sku, length).trim_end())).ok())
        });
        for sku in numbered.flatten() {
            if !self.holders.contains_key(sku.key()) && self.given.insert(sku.key().to_owned()) {
                return sku.as_str().to_owned();
            }
        }
        // Numbers do not end.
        sku.to_owned()
    }
}

/// What a row says, made such that the catalogue takes it.
fn mend(id: i64, (name, category, sku): (&str, &str, &str)) -> Result<Draft, Vec<Fault>> {
    let name = mended(name, format!("Product {id}"), |text| Name::parse(text).is_ok());
    let category = mended(category, "Uncategorized".to_owned(), |text| Category::parse(text).is_ok());
    let sku = mended(sku, format!("ID-{id}"), |text| Sku::parse(text).is_ok());
    Draft::parse(&name, &category, &sku)
}

/// As much of the beginning of a text as fits, with spaces for what may not be seen.
fn mended(text: &str, empty: String, fits: impl Fn(&str) -> bool) -> String {
    let visible: String = text.chars().map(|c| if is_control(c) { ' ' } else { c }).collect();
    let begin = cut(visible.trim(), Name::LIMIT);
    let lengths = (1..=begin.chars().count()).rev();
    lengths.map(|length| cut(&begin, length)).find(|text| fits(text)).unwrap_or(empty)
}
