//! What becomes of an import's rows, and of products when it is undone.

use crate::import::{Manner, Mode, Reason, damage};
use crate::ledger::Ledger;
use crate::product::{Draft, Product};
use crate::text::fold;
use crate::version::{Author, Kind, Origin};

/// What becomes of a row of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// There is a new product.
    Created,
    /// A product is changed.
    Updated,
    /// The product says this already.
    Unchanged,
    /// A product has its SKU already.
    Taken {
        /// Which one.
        product_id: i64,
    },
    /// No product has its SKU.
    Missing,
    /// A spreadsheet made something else of its SKU.
    Damaged {
        /// What happened and what it probably was, for people.
        told: String,
    },
}

impl Row {
    /// Why it is refused, for programs and for people.
    pub fn refusal(&self) -> Option<(Reason, String)> {
        match self {
            Self::Created | Self::Updated | Self::Unchanged => None,
            Self::Taken { product_id } => Some((Reason::SkuTaken, format!("product {product_id} has this SKU"))),
            Self::Missing => Some((Reason::ProductNotFound, "no product has this SKU".to_owned())),
            Self::Damaged { told } => Some((Reason::SpreadsheetDamage, told.clone())),
        }
    }
}

/// What becomes of a product when the import is undone that changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// It is as it was before the import, or deleted.
    TakenBack,
    /// It was added by the import and is deleted already.
    Gone,
    /// Someone changed it since.
    Conflict,
}

impl Ledger {
    /// What would become of a row.
    pub fn judge(&self, draft: &Draft, manner: Manner, author: &Author) -> Row {
        match (self.holder(draft.sku.key()), manner.mode) {
            (Some(present), Mode::Create) => Row::Taken { product_id: present.product.id },
            (Some(present), Mode::Upsert | Mode::Update) if says(&present.product, draft) => Row::Unchanged,
            (Some(_), Mode::Upsert | Mode::Update) => Row::Updated,
            (None, mode) => match (self.damage(draft, author).filter(|_| !manner.allow_damaged), mode) {
                (Some(told), _) => Row::Damaged { told },
                (None, Mode::Update) => Row::Missing,
                (None, Mode::Upsert | Mode::Create) => Row::Created,
            },
        }
    }

    /// Adds or changes the product of an import's row, unless that is refused.
    pub fn take_row(&mut self, draft: &Draft, manner: Manner, author: &Author) -> Row {
        let row = self.judge(draft, manner, author);
        let origin = Origin { kind: Kind::Imported, author: author.clone() };
        match row {
            Row::Created => drop(self.add(draft, origin)),
            Row::Updated => {
                if let Some(present) = self.holder(draft.sku.key()) {
                    self.replace(draft.of(&present.product), origin);
                }
            }
            Row::Unchanged | Row::Taken { .. } | Row::Missing | Row::Damaged { .. } => {}
        }
        row
    }

    /// Takes back what made a version of a product, if that is the present one, or if what
    /// came behind it was taken back, too.
    pub fn undo(&mut self, id: i64, version: i64, author: &Author) -> Undone {
        let added = version == 1;
        let (product, kind) = match self.product(id) {
            Some(present) => (present.product.clone(), present.origin.kind),
            None if added => return Undone::Gone,
            None => return Undone::Conflict,
        };
        if added && product.delete_time.is_some() {
            return Undone::Gone;
        }
        // What came behind it was taken back where the product says again what it said.
        let is_reinstated = kind == Kind::Undone
            && self.earlier.get(&(id, version)).is_some_and(|made| {
                (&made.name, &made.category, &made.sku) == (&product.name, &product.category, &product.sku)
            });
        if product.version != version && !is_reinstated {
            return Undone::Conflict;
        }
        let before = match self.earlier.get(&(id, version - 1)) {
            _ if added => Product { delete_time: Some(self.now), ..product },
            Some(earlier) if self.free(&fold(&earlier.sku), id).is_ok() => {
                let Product { name, category, sku, .. } = earlier.clone();
                Product { name, category, sku, ..product }
            }
            _ => return Undone::Conflict,
        };
        self.replace(before, Origin { kind: Kind::Undone, author: author.clone() });
        Undone::TakenBack
    }

    /// What a spreadsheet did to the SKU of a row, which no product has as it stands.
    fn damage(&self, draft: &Draft, author: &Author) -> Option<String> {
        let unstripped = damage::unstripped(draft.sku.key()).find_map(|key| {
            // What this import has added itself was no product when the file was made.
            let holder = self.holder(&key).filter(|present| {
                let Origin { kind, author: by } = &present.origin;
                !(*kind == Kind::Imported && by == author && present.product.version == 1)
            })?;
            let Product { id, sku, .. } = &holder.product;
            Some(format!("a spreadsheet has stripped the SKU's leading zeros: it probably was {sku}, product {id}"))
        });
        unstripped.or_else(|| damage::told(draft.sku.as_str()))
    }
}

/// Whether a product is what a row says.
fn says(product: &Product, draft: &Draft) -> bool {
    let said = (draft.name.as_str(), draft.category.as_str(), draft.sku.as_str());
    said == (product.name.as_str(), product.category.as_str(), product.sku.as_str())
}
