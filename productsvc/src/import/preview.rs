//! What a dry run would change, and what an undoing left alone.

use crate::ledger::Row;
use crate::product::{Draft, Product};
use crate::version::{Difference, compare};

/// What a row would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The line that it begins on.
    pub line: i64,
    /// What would become of it.
    pub verdict: Row,
    /// The product that has its SKU now.
    pub before: Option<Product>,
    /// What it says.
    pub draft: Draft,
}

impl Preview {
    /// The fields that would differ; of a new product all that the row says.
    pub fn differences(&self) -> Vec<Difference> {
        match (&self.before, self.verdict.refusal()) {
            (_, Some(_)) => Vec::new(),
            (Some(before), None) => compare(before, &self.draft.of(before)),
            (None, None) => {
                let said = [("name", self.draft.name.as_str()), ("category", self.draft.category.as_str())];
                let said = said.into_iter().chain([("sku", self.draft.sku.as_str())]);
                said.map(|(field, to)| Difference { field, from: String::new(), to: to.to_owned() }).collect()
            }
        }
    }
}

/// A product that was left alone when an import was undone: someone changed it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Which product.
    pub product_id: i64,
    /// The version that the import made of it.
    pub version: i64,
    /// The product as it is now; none once it is purged.
    pub product: Option<Product>,
}
