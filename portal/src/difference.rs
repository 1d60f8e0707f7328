//! What became of a text of a product, as a row shows it.

use proto::products::{FieldDifference, Product as Record};

/// What a change does to one field; one that is new was empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) label: &'static str,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What people call a field of a product; nothing for what is no text of it.
pub(crate) fn label(field: &str) -> Option<&'static str> {
    match field {
        "name" => Some("Name"),
        "category" => Some("Category"),
        "sku" => Some("SKU"),
        _ => None,
    }
}

impl Difference {
    /// Reads one that the catalogue tells. Deletion is no text, and is said elsewhere.
    pub(crate) fn read(difference: FieldDifference) -> Option<Difference> {
        Some(Difference { label: label(&difference.field)?, from: difference.from, to: difference.to })
    }

    /// What differs between two versions.
    pub(crate) fn between(from: &Record, to: &Record) -> Vec<Difference> {
        let fields =
            [("name", &from.name, &to.name), ("category", &from.category, &to.category), ("sku", &from.sku, &to.sku)];
        let changed = fields.into_iter().filter(|(_, from, to)| from != to);
        let told = changed.map(|(field, from, to)| FieldDifference {
            field: field.to_owned(),
            from: from.clone(),
            to: to.clone(),
        });
        told.filter_map(Difference::read).collect()
    }
}
