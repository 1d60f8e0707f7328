//! What an adoption found and did, for people.

use std::fmt::{Display, Formatter, Result};

use crate::adoption::OldRow;
use crate::text::cut;

/// Findings that are shown; more would hide what they say.
const MOST_SHOWN: usize = 20;

/// Characters of a value that are shown.
const MOST_CHARACTERS: usize = 60;

/// A row that could not be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its id.
    pub id: i64,
    /// What it is called, as far as it is shown.
    pub name: String,
    /// Where it belongs.
    pub category: String,
    /// Its stock keeping unit.
    pub sku: String,
    /// What is wrong with it.
    pub problem: String,
    /// What becomes of it; none while nobody decided.
    pub resolved: Option<String>,
}

/// What came of an adoption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows of the old table.
    pub rows: u64,
    /// Those that are products.
    pub adopted: u64,
    /// Those whose texts lost spaces that nobody sees.
    pub cleaned: u64,
    /// Those whose SKU another one has.
    pub duplicates: u64,
    /// Those with values that are refused.
    pub refused: u64,
    /// Each that could not be taken as it is, in the order of the ids.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Findings that nobody decided about.
    pub fn open(&self) -> usize {
        self.findings.iter().filter(|finding| finding.resolved.is_none()).count()
    }

    pub(super) fn note(&mut self, row: &OldRow, problem: String, resolved: Option<String>) {
        let shown = |text: &Option<String>| cut(text.as_deref().unwrap_or_default(), MOST_CHARACTERS);
        let (name, category, sku) = (shown(&row.name), shown(&row.category), shown(&row.sku));
        self.findings.push(Finding { id: row.id, name, category, sku, problem, resolved });
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { id, name, sku, problem, .. } = self;
        write!(f, "product {id}, {name:?}, SKU {sku:?}: {problem}")?;
        match &self.resolved {
            Some(resolved) => write!(f, " and {resolved}"),
            None => Ok(()),
        }
    }
}

/// The first findings, a line each, and how many more there are.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let lines: Vec<String> = self.findings.iter().take(MOST_SHOWN).map(|finding| format!("  {finding}")).collect();
        f.write_str(&lines.join("\n"))?;
        match self.findings.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
