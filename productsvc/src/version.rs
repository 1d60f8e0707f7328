//! The versions of a product: what it was, what made it so, and how two differ.

use jiff::Timestamp;

use crate::product::Product;

/// What makes a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The version is older than the history.
    Unknown,
    /// The product was added.
    Created,
    /// What people say of it was changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// It was brought back.
    Undeleted,
    /// It became what an earlier version said.
    Restored,
    /// A row of an import added or changed it.
    Imported,
    /// It was removed for good.
    Purged,
    /// What an import made of it was taken back.
    Undone,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Created,
        Self::Updated,
        Self::Deleted,
        Self::Undeleted,
        Self::Restored,
        Self::Imported,
        Self::Purged,
        Self::Undone,
    ];

    /// What the database calls it: its place in the list, which only grows.
    pub fn code(self) -> i64 {
        self as i64
    }

    /// Reads back what the database calls it.
    pub fn parse(code: i64) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Unknown)
    }
}

/// Who changes something, and in which call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// The name of a person or of the calling process, or the source of an import.
    pub name: String,
    /// The request as the log knows it.
    pub call_id: String,
    /// Whether it is a person who asks now. It is not stored.
    pub person: bool,
}

/// Where a version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What made it.
    pub kind: Kind,
    /// Who made it.
    pub author: Author,
}

/// A product as it is, or was for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What it was.
    pub product: Product,
    /// What made it.
    pub origin: Origin,
    /// When the next version began; none for the present one.
    pub end_time: Option<Timestamp>,
}

/// A field that differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field's name in the contract.
    pub field: &'static str,
    /// What it says in the one.
    pub from: String,
    /// What it says in the other.
    pub to: String,
}

/// What people see differ between two states of a product.
pub fn compare(from: &Product, to: &Product) -> Vec<Difference> {
    let time = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string()).unwrap_or_default();
    let fields = [
        ("name", from.name.clone(), to.name.clone()),
        ("category", from.category.clone(), to.category.clone()),
        ("sku", from.sku.clone(), to.sku.clone()),
        ("delete_time", time(from.delete_time), time(to.delete_time)),
    ];
    let differing = fields.into_iter().filter(|(_, from, to)| from != to);
    differing.map(|(field, from, to)| Difference { field, from, to }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_keeps_its_code() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.code()), kind);
        }
        assert_eq!((Kind::Created.code(), Kind::Purged.code(), Kind::parse(99)), (1, 7, Kind::Unknown));
    }

    #[test]
    fn only_what_differs_is_told() {
        let from = Product {
            id: 1,
            name: "Saw".to_owned(),
            category: "Tools".to_owned(),
            sku: "S-1".to_owned(),
            version: 1,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
            delete_time: None,
        };
        let to = Product {
            name: "Hand Saw".to_owned(),
            version: 2,
            delete_time: Some(Timestamp::UNIX_EPOCH),
            ..from.clone()
        };

        let fields: Vec<&str> = compare(&from, &to).iter().map(|difference| difference.field).collect();

        assert_eq!(fields, ["name", "delete_time"]);
        assert!(compare(&to, &to).is_empty());
    }
}
