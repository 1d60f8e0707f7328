//! Renaming a category: all products in it and below it, in pieces.
//!
//! Each piece is a write like any other. Products that someone else changes meanwhile are
//! read again; whoever repeats a rename that broke off renames what is left.

use std::time::Duration;

use tokio::time::Instant;

use crate::category::Category;
use crate::error::Error;
use crate::order::{By, Order};
use crate::product::Product;
use crate::range::Range;
use crate::store::{Below, ProductStore};
use crate::version::Author;
use crate::write::{Change, Step, Write};

/// Products that are renamed in one transaction.
const PIECE: usize = 500;

/// What renamed products are read by.
const BY_CATEGORY: Order = Order { by: By::Category, descending: false };

/// Categories that are read at once.
const CATEGORIES: usize = 1_000;

/// Products that a preview shows.
const SAMPLE: usize = 10;

/// A piece that others keep coming into is given up after so many tries.
const MOST_CONFLICTS: u32 = 10;

/// How long a piece may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A category that is being renamed.
#[derive(Debug)]
pub struct Rename {
    store: ProductStore,
    from: Category,
    to: Category,
    author: Author,
    /// The part of the order of categories that nothing was looked at yet of.
    rest: Range,
}

/// What a rename is about.
#[derive(Debug, Clone)]
pub struct Preview {
    /// How many products are in the category and below it.
    pub total: i64,
    /// Whether there is a category of the new path already.
    pub merges: bool,
    /// Some of the products, with what their categories will be.
    pub sample: Vec<(Product, String)>,
}

impl Rename {
    /// Of this category to that path.
    pub fn new(store: ProductStore, from: Category, to: Category, author: Author) -> Result<Self, Error> {
        if to.as_str() == from.as_str() {
            return Err(Error::invalid("to", "is what it is called already"));
        }
        if to.is_within(&from) && to.key() != from.key() {
            return Err(Error::invalid("to", format!("must not be below {}", from.as_str())));
        }
        let mut rest = Range::default();
        rest.within(from.key());
        Ok(Self { store, from, to, author, rest })
    }

    /// What would be renamed. Refused when there is nothing, or a path would be too long.
    pub async fn preview(&self, deadline: Instant) -> Result<Preview, Error> {
        let missing = || Error::CategoryNotFound { path: self.from.as_str().to_owned() };
        let category = self.store.category(&self.from, deadline).await?.ok_or_else(missing)?;
        let mut after = String::new();
        loop {
            let below = Below::Anywhere(self.from.key());
            let piece = self.store.categories(&below, &after, CATEGORIES, deadline).await?;
            for (_, counted) in &piece {
                if let Some(Err(fault)) = self.moved(&counted.path) {
                    let problem = format!("would make of {} a path that {fault}", counted.path);
                    return Err(Error::invalid("to", problem));
                }
            }
            match piece.last() {
                Some((key, _)) if piece.len() == CATEGORIES => after.clone_from(key),
                _ => break,
            }
        }
        let merges = self.to.key() != self.from.key() && self.store.category(&self.to, deadline).await?.is_some();
        let products = self.store.in_range(BY_CATEGORY, &self.rest, PIECE, deadline).await?;
        let moved = |product: Product| {
            let category = Category::moved(&product.category, &self.from, &self.to)?;
            Some((product, category))
        };
        let sample = products.into_iter().filter_map(moved).take(SAMPLE).collect();
        Ok(Preview { total: category.total, merges, sample })
    }

    /// Renames the next piece, and says how many products that were; none when all is done.
    pub async fn next(&mut self) -> Result<Option<i64>, Error> {
        let mut conflicts = 0;
        loop {
            let deadline = Instant::now() + PATIENCE;
            let products = self.store.in_range(BY_CATEGORY, &self.rest, PIECE, deadline).await?;
            let Some(last) = products.last().map(|last| BY_CATEGORY.place(last)) else {
                self.respell(deadline).await?;
                return Ok(None);
            };
            let steps: Vec<Step> = products.iter().filter_map(|product| self.step(product)).collect();
            let renamed = i64::try_from(steps.len()).unwrap_or(i64::MAX);
            let write = Write { author: self.author.clone(), steps, validate_only: false };
            match self.write(write, deadline).await {
                Ok(()) => {
                    self.rest.above(last);
                    return Ok(Some(renamed));
                }
                // Someone else changed one of them since it was read.
                Err(Error::At { cause, .. })
                    if conflicts < MOST_CONFLICTS
                        && matches!(
                            *cause,
                            Error::StaleVersion { .. } | Error::ProductDeleted { .. } | Error::ProductNotFound { .. }
                        ) =>
                {
                    conflicts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Shows the category as it is spelled now, where only that is what changed.
    async fn respell(&self, deadline: Instant) -> Result<(), Error> {
        if self.to.key() != self.from.key() {
            return Ok(());
        }
        self.store.respell(&self.from, &self.to, deadline).await
    }

    async fn write(&self, write: Write, deadline: Instant) -> Result<(), Error> {
        if write.steps.is_empty() {
            return Ok(());
        }
        self.store.write(write, None, deadline).await.map(drop)
    }

    fn step(&self, product: &Product) -> Option<Step> {
        // One that became too long meanwhile stays where it is.
        let category = self.moved(&product.category)?.ok()?;
        let etag = Some(product.etag());
        Some(Step::Update(Change { id: product.id, etag, name: None, category: Some(category), sku: None }))
    }

    fn moved(&self, path: &str) -> Option<Result<Category, crate::category::CategoryFault>> {
        Category::moved(path, &self.from, &self.to).map(|path| Category::parse(&path))
    }
}
