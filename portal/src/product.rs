//! A product as pages show it, and a page of a list of them.

use proto::products::Product as Record;

use crate::{query::link, time::Moment};

/// A product of the catalogue, deleted or not.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) sku: String,
    pub(crate) version: i64,
    pub(crate) etag: String,
    pub(crate) created: Option<Moment>,
    pub(crate) updated: Option<Moment>,
    pub(crate) deleted: Option<Moment>,
}

impl From<Record> for Product {
    fn from(record: Record) -> Product {
        Product {
            id: record.id,
            name: record.name,
            category: record.category,
            sku: record.sku,
            version: record.version,
            etag: record.etag,
            created: Moment::read(record.create_time),
            updated: Moment::read(record.update_time),
            deleted: Moment::read(record.delete_time),
        }
    }
}

impl Product {
    /// Where its page is.
    pub(crate) fn link(&self) -> String {
        format!("/products/{}", self.id)
    }

    /// The levels of its category with their slashes: a line may break after each.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &str> {
        self.category.split_inclusive('/')
    }

    /// Where everything of its category is.
    pub(crate) fn category_link(&self) -> String {
        link("/search", &[("q", &self.category), ("field", "category")])
    }
}

/// A page of a list, with the tokens of the pages beside it; empty when there is none.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) products: Vec<Product>,
    pub(crate) newer: String,
    pub(crate) older: String,
}

impl Listing {
    pub(crate) fn new(records: Vec<Record>, newer: String, older: String) -> Listing {
        Listing { products: records.into_iter().map(Product::from).collect(), newer, older }
    }

    /// Links to the pages beside it, `address` being what makes a link of a token.
    pub(crate) fn pager(&self, address: impl Fn(&str) -> String) -> Pager {
        let beside = |token: &str| (!token.is_empty()).then(|| address(token));
        Pager { newer: beside(&self.newer), older: beside(&self.older), first: address("") }
    }
}

/// Links to the pages beside a page.
#[derive(Debug)]
pub(crate) struct Pager {
    pub(crate) newer: Option<String>,
    pub(crate) older: Option<String>,
    pub(crate) first: String,
}

impl Pager {
    /// Whether there is any other page.
    pub(crate) fn is_needed(&self) -> bool {
        self.newer.is_some() || self.older.is_some()
    }
}
