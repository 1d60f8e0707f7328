//! The rules of writing: what becomes of products, decided in memory.
//!
//! Pure: whoever keeps products loads what a group of writes is about, lets the ledger
//! take them one after the other, and stores what came of it in one transaction.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::error::Error;
use crate::product::{Draft, Etag, Product};
use crate::text::fold;
use crate::version::{Author, Kind, Origin, Version};
use crate::write::{Change, Step, Write};

mod adoption;
mod rows;
#[cfg(test)]
mod tests;

pub use rows::{Row, Undone};

/// How long a deleted product can be had back.
pub const KEPT_DELETED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What the catalogue counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    /// The last id that was given.
    pub last_id: i64,
    /// The last sequence that was given.
    pub last_sequence: i64,
    /// How many products are not deleted.
    pub live_products: i64,
}

/// A product, and where its present version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// As it is.
    pub product: Product,
    /// What made it so.
    pub origin: Origin,
}

/// That something happened to a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its place among all changes.
    pub sequence: i64,
    /// Which product.
    pub product_id: i64,
    /// The version that it has since.
    pub version: i64,
    /// What happened.
    pub kind: Kind,
}

/// The products that some writes are about, as they become.
#[derive(Debug)]
pub struct Ledger {
    now: Timestamp,
    clock: Clock,
    products: HashMap<i64, Present>,
    /// Who has a SKU and is not deleted, by its key; none where it is known to be free.
    skus: HashMap<String, Option<i64>>,
    earlier: HashMap<(i64, i64), Product>,
    effects: Effects,
    /// How to take back the write that is being made.
    undo: Vec<Undo>,
}

/// What is to be stored.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// Products as they were stored before, none for new ones; by id.
    pub before: BTreeMap<i64, Option<Product>>,
    /// Versions that others followed.
    pub versions: Vec<Version>,
    /// What happened, in its order.
    pub events: Vec<Event>,
}

#[derive(Debug)]
enum Undo {
    Product(i64, Option<Present>),
    Sku(String, Option<Option<i64>>),
    Touched(i64),
}

impl Ledger {
    /// An empty one; what the writes are about is still to be loaded.
    pub fn new(clock: Clock, now: Timestamp) -> Self {
        Self {
            now,
            clock,
            products: HashMap::new(),
            skus: HashMap::new(),
            earlier: HashMap::new(),
            effects: Effects::default(),
            undo: Vec::new(),
        }
    }

    /// Knows a product. One that is not loaded is taken not to be there.
    pub fn load(&mut self, present: Present) {
        if present.product.delete_time.is_none() {
            self.skus.insert(fold(&present.product.sku), Some(present.product.id));
        }
        self.products.insert(present.product.id, present);
    }

    /// Knows a version of a product that is not the present one.
    pub fn load_earlier(&mut self, product: Product) {
        self.earlier.insert((product.id, product.version), product);
    }

    /// The first and the last sequence of what happened so far, if anything did.
    pub fn sequences(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.effects.events.first()?, self.effects.events.last()?);
        Some((first.sequence, last.sequence))
    }

    /// A product as it is by now.
    pub fn product(&self, id: i64) -> Option<&Present> {
        self.products.get(&id)
    }

    /// The product that has a SKU by now and is not deleted.
    pub fn holder(&self, sku_key: &str) -> Option<&Present> {
        self.skus.get(sku_key).copied().flatten().and_then(|id| self.products.get(&id))
    }

    /// The keys of SKUs that steps will give to products by what those say already.
    pub fn sku_keys<'s>(&self, steps: impl Iterator<Item = &'s Step>) -> Vec<String> {
        let said = |step: &Step| match step {
            Step::Undelete { id, .. } => self.products.get(id).map(|present| fold(&present.product.sku)),
            Step::Restore { id, version, .. } => self.earlier.get(&(*id, *version)).map(|earlier| fold(&earlier.sku)),
            other => other.sku_key().map(str::to_owned),
        };
        steps.filter_map(said).collect()
    }

    /// Takes a write whole and answers the products as they are then, or refuses it whole.
    pub fn take(&mut self, write: &Write) -> Result<Vec<Product>, Error> {
        let (versions, events, clock) = (self.effects.versions.len(), self.effects.events.len(), self.clock);
        self.undo.clear();
        let mut answers = Vec::with_capacity(write.steps.len());
        let mut refused = None;
        for (index, step) in write.steps.iter().enumerate() {
            match self.step(step, &write.author) {
                Ok(product) => answers.extend(product),
                Err(error) => {
                    let cause = match error {
                        // By a product that is not there without this write.
                        Error::SkuTaken { product_id } if product_id > clock.last_id => Error::SkuTwice,
                        error => error,
                    };
                    refused = Some(Error::At { index, cause: Box::new(cause) });
                    break;
                }
            }
        }
        if refused.is_some() || write.validate_only {
            self.effects.versions.truncate(versions);
            self.effects.events.truncate(events);
            self.clock = clock;
            self.take_back();
        }
        match refused {
            Some(error) => Err(error),
            None => Ok(answers),
        }
    }

    /// Notes that a deleted product is removed for good.
    pub fn purge(&mut self, product_id: i64, version: i64) {
        self.clock.last_sequence += 1;
        let sequence = self.clock.last_sequence;
        self.effects.events.push(Event { sequence, product_id, version, kind: Kind::Purged });
    }

    /// What is to be stored, the products as they are then, and what the catalogue counts then.
    pub fn close(self) -> (Effects, HashMap<i64, Present>, Clock) {
        (self.effects, self.products, self.clock)
    }

    fn step(&mut self, step: &Step, author: &Author) -> Result<Option<Product>, Error> {
        let origin = |kind| Origin { kind, author: author.clone() };
        match step {
            Step::Create(draft) => {
                self.free(draft.sku.key(), 0)?;
                Ok(Some(self.add(draft, origin(Kind::Created))))
            }
            Step::Update(change) => self.update(change, origin(Kind::Updated)).map(Some),
            Step::Delete { id, etag, allow_missing } => {
                match self.products.get(id).map(|present| present.product.clone()) {
                    Some(product) if product.delete_time.is_none() => {
                        is_meant(&product, *etag)?;
                        let delete_time = Some(self.now);
                        Ok(Some(self.replace(Product { delete_time, ..product }, origin(Kind::Deleted))))
                    }
                    missing if *allow_missing => Ok(missing),
                    _ => Err(Error::ProductNotFound { id: *id }),
                }
            }
            Step::Undelete { id, etag } => {
                let product = self.find(*id)?;
                if product.delete_time.is_none() {
                    return Err(Error::ProductNotDeleted { id: *id });
                }
                is_meant(&product, *etag)?;
                self.free(&fold(&product.sku), *id)?;
                Ok(Some(self.replace(Product { delete_time: None, ..product }, origin(Kind::Undeleted))))
            }
            Step::Restore { id, version, etag, .. } => {
                let product = self.find(*id)?;
                let earlier =
                    if product.version == *version { Some(&product) } else { self.earlier.get(&(*id, *version)) };
                let earlier = earlier.ok_or(Error::VersionNotFound { id: *id, version: *version })?;
                let Draft { name, category, sku } = Draft::parse(&earlier.name, &earlier.category, &earlier.sku)?;
                let change =
                    Change { id: *id, etag: *etag, name: Some(name), category: Some(category), sku: Some(sku) };
                self.update(&change, origin(Kind::Restored)).map(Some)
            }
        }
    }

    fn update(&mut self, change: &Change, origin: Origin) -> Result<Product, Error> {
        let product = self.find(change.id)?;
        if product.delete_time.is_some() {
            return Err(Error::ProductDeleted { id: change.id });
        }
        is_meant(&product, change.etag)?;
        if let Some(sku) = &change.sku {
            self.free(sku.key(), change.id)?;
        }
        let mut changed = product.clone();
        changed.name = change.name.as_ref().map_or(changed.name, |name| name.as_str().to_owned());
        changed.category = change.category.as_ref().map_or(changed.category, |category| category.as_str().to_owned());
        changed.sku = change.sku.as_ref().map_or(changed.sku, |sku| sku.as_str().to_owned());
        if changed == product {
            return Ok(product);
        }
        Ok(self.replace(changed, origin))
    }

    fn add(&mut self, draft: &Draft, origin: Origin) -> Product {
        self.clock.last_id += 1;
        self.clock.live_products += 1;
        let product = Product {
            id: self.clock.last_id,
            name: draft.name.as_str().to_owned(),
            category: draft.category.as_str().to_owned(),
            sku: draft.sku.as_str().to_owned(),
            version: 1,
            create_time: self.now,
            update_time: self.now,
            delete_time: None,
        };
        self.touch(product.id, None);
        self.keep(product, origin)
    }

    /// Puts a product, which is there, in its next version.
    fn replace(&mut self, product: Product, origin: Origin) -> Product {
        let Some(before) = self.products.get(&product.id).cloned() else { return product };
        // Versions follow each other in time, whatever the clocks of several machines say.
        let now = self.now.max(before.product.update_time);
        // A deleted product is only replaced by itself, live again.
        let delete_time = product.delete_time.map(|_| now);
        let next = Product { version: before.product.version + 1, update_time: now, delete_time, ..product };
        self.touch(next.id, Some(before.product.clone()));
        match (before.product.delete_time, next.delete_time) {
            (None, Some(_)) => self.clock.live_products -= 1,
            (Some(_), None) => self.clock.live_products += 1,
            _ => {}
        }
        if before.product.delete_time.is_none() {
            self.give(fold(&before.product.sku), None);
        }
        self.effects.versions.push(Version { product: before.product, origin: before.origin, end_time: Some(now) });
        self.keep(next, origin)
    }

    fn keep(&mut self, product: Product, origin: Origin) -> Product {
        self.clock.last_sequence += 1;
        let (sequence, version) = (self.clock.last_sequence, product.version);
        self.effects.events.push(Event { sequence, product_id: product.id, version, kind: origin.kind });
        if product.delete_time.is_none() {
            self.give(fold(&product.sku), Some(product.id));
        }
        let before = self.products.insert(product.id, Present { product: product.clone(), origin });
        self.undo.push(Undo::Product(product.id, before));
        product
    }

    fn give(&mut self, sku_key: String, to: Option<i64>) {
        let before = self.skus.insert(sku_key.clone(), to);
        self.undo.push(Undo::Sku(sku_key, before));
    }

    /// Remembers what is stored of a product that changes.
    fn touch(&mut self, id: i64, before: Option<Product>) {
        if let std::collections::btree_map::Entry::Vacant(first) = self.effects.before.entry(id) {
            first.insert(before);
            self.undo.push(Undo::Touched(id));
        }
    }

    fn take_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Product(id, Some(present)) => _ = self.products.insert(id, present),
                Undo::Product(id, None) => _ = self.products.remove(&id),
                Undo::Sku(key, Some(holder)) => _ = self.skus.insert(key, holder),
                Undo::Sku(key, None) => _ = self.skus.remove(&key),
                Undo::Touched(id) => _ = self.effects.before.remove(&id),
            }
        }
    }

    fn find(&self, id: i64) -> Result<Product, Error> {
        self.products.get(&id).map(|present| present.product.clone()).ok_or(Error::ProductNotFound { id })
    }

    /// Whether a product may have a SKU.
    fn free(&self, sku_key: &str, by: i64) -> Result<(), Error> {
        match self.skus.get(sku_key).copied().flatten() {
            Some(product_id) if product_id != by => Err(Error::SkuTaken { product_id }),
            _ => Ok(()),
        }
    }
}

fn is_meant(product: &Product, etag: Option<Etag>) -> Result<(), Error> {
    match etag {
        Some(etag) if etag != product.etag() => Err(Error::StaleVersion { version: product.version }),
        _ => Ok(()),
    }
}
