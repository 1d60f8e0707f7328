//! What the portal asks of the catalogue about categories.

use std::sync::{Arc, Mutex, PoisonError};

use proto::products::{
    Category, ListCategoriesRequest, ListCategoriesResponse, RenameCategoryRequest, RenameCategoryResponse,
};
use tonic::Streaming;

use crate::{
    backends::{Backends, endless, products::unanswered},
    changes::{Changes, Mark},
    error::Failure,
    grpcurl::Method,
    refusal::Refused,
};

pub(crate) const CATEGORIES: Method = Method::new("rundoo.products.v1.ProductService/ListCategories");
pub(crate) const RENAME: Method = Method::new("rundoo.products.v1.ProductService/RenameCategory");

/// Categories below one that are offered for choice; who has more picks from the tree.
const OFFERED: i32 = 100;

/// The categories at the top as they were at a mark: every Home page offers them.
#[derive(Debug, Default)]
pub(crate) struct Top(Mutex<Option<(Mark, Arc<Vec<Category>>)>>);

impl Backends {
    /// A page of categories.
    pub(crate) async fn categories(&self, request: ListCategoriesRequest) -> Result<ListCategoriesResponse, Failure> {
        Ok(self.products.clone().list_categories(request).await.map_err(unanswered)?.into_inner())
    }

    /// The categories directly below one, the first of them; empty is the top.
    pub(crate) async fn categories_below(&self, parent: &str) -> Result<Vec<Category>, Failure> {
        let request = ListCategoriesRequest { parent: parent.to_owned(), page_size: OFFERED, ..Default::default() };
        Ok(self.categories(request).await?.categories)
    }

    /// The categories at the top, asked for again when the catalogue has changed.
    pub(crate) async fn top_categories(&self, changes: &Changes) -> Result<Arc<Vec<Category>>, Failure> {
        let Some(mark) = changes.mark() else {
            return self.categories_below("").await.map(Arc::new);
        };
        if let Some(top) = self.top.of(mark) {
            return Ok(top);
        }
        let top = Arc::new(self.categories_below("").await?);
        self.top.keep(mark, &top);
        Ok(top)
    }

    /// Renames a category, or tells what that would do; it takes as long as it takes.
    pub(crate) async fn rename(
        &self,
        request: RenameCategoryRequest,
    ) -> Result<Streaming<RenameCategoryResponse>, Refused> {
        let mut products = self.products.clone();
        let renaming = async { products.rename_category(request).await };
        Ok(endless().scope(renaming).await?.into_inner())
    }
}

impl Top {
    fn of(&self, mark: Mark) -> Option<Arc<Vec<Category>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(of, _)| *of == mark).map(|(_, top)| Arc::clone(top))
    }

    fn keep(&self, mark: Mark, top: &Arc<Vec<Category>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((mark, Arc::clone(top)));
    }
}
