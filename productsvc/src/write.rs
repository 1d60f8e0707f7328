//! What is to be done to products, as values: a write is done whole, or refused.

use crate::category::Category;
use crate::product::{Draft, Etag, Name, Product, Sku};
use crate::version::Author;

/// Steps that are taken together or not at all.
#[derive(Debug, Clone)]
pub struct Write {
    /// Who wants it.
    pub author: Author,
    /// What is to be done, in this order.
    pub steps: Vec<Step>,
    /// Whether it is only to be checked.
    pub validate_only: bool,
}

/// One thing to do to one product.
#[derive(Debug, Clone)]
pub enum Step {
    /// Add one.
    Create(Draft),
    /// Change what people say of one.
    Update(Change),
    /// Hide one and free its SKU.
    Delete {
        /// Which.
        id: i64,
        /// The version that is meant.
        etag: Option<Etag>,
        /// Whether one that is not there is no refusal.
        allow_missing: bool,
    },
    /// Bring a deleted one back.
    Undelete {
        /// Which.
        id: i64,
        /// The version that is meant.
        etag: Option<Etag>,
    },
    /// Make one what an earlier version said.
    Restore {
        /// Which.
        id: i64,
        /// The earlier version.
        version: i64,
        /// What it was, when the database may not know it any more.
        earlier: Option<Box<Product>>,
        /// The version that is meant.
        etag: Option<Etag>,
    },
}

/// What is to be made of a product; what is not said stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which product.
    pub id: i64,
    /// The version that was changed: no other one is.
    pub etag: Option<Etag>,
    /// What it is to be called.
    pub name: Option<Name>,
    /// Where it is to belong.
    pub category: Option<Category>,
    /// Its new SKU.
    pub sku: Option<Sku>,
}

impl Step {
    /// What is done, for people: to be read after "has".
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "created",
            Self::Update(_) => "updated",
            Self::Delete { .. } => "deleted",
            Self::Undelete { .. } => "brought back",
            Self::Restore { .. } => "restored",
        }
    }

    /// The product that must be known to take this step.
    pub fn id(&self) -> Option<i64> {
        match self {
            Self::Create(_) => None,
            Self::Update(Change { id, .. })
            | Self::Delete { id, .. }
            | Self::Undelete { id, .. }
            | Self::Restore { id, .. } => Some(*id),
        }
    }

    /// The key of the SKU that it gives to a product, where it says that itself.
    pub fn sku_key(&self) -> Option<&str> {
        match self {
            Self::Create(draft) => Some(draft.sku.key()),
            Self::Update(change) => change.sku.as_ref().map(|sku| sku.key()),
            Self::Delete { .. } | Self::Undelete { .. } | Self::Restore { .. } => None,
        }
    }

    /// The earlier version that must be known to take this step, and what it was if the
    /// step says that itself.
    pub fn earlier(&self) -> Option<(i64, i64, Option<&Product>)> {
        match self {
            Self::Restore { id, version, earlier, .. } => Some((*id, *version, earlier.as_deref())),
            _ => None,
        }
    }
}
