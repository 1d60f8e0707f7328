//! What the portal asks of the catalogue about products: to list, find, show and change them.

use proto::products::{
    BatchDeleteProductsRequest, BatchGetProductsRequest, BatchUpdateProductsRequest, CreateProductRequest,
    DeleteProductRequest, GetProductRequest, ListProductsRequest, ListProductsResponse, Product as Record,
    SearchProductsRequest, SearchProductsResponse, UndeleteProductRequest, UpdateProductRequest,
};
use tonic::Status;

use crate::{
    backends::Backends,
    error::{Backend, Failure},
    form::Posted,
    grpcurl::Method,
    product::Product,
    refusal::Refused,
};

pub(crate) const LIST: Method = Method::new("rundoo.products.v1.ProductService/ListProducts");
pub(crate) const SEARCH: Method = Method::new("rundoo.products.v1.ProductService/SearchProducts");
pub(crate) const GET: Method = Method::new("rundoo.products.v1.ProductService/GetProduct");
pub(crate) const BATCH_GET: Method = Method::new("rundoo.products.v1.ProductService/BatchGetProducts");
pub(crate) const CREATE: Method = Method::new("rundoo.products.v1.ProductService/CreateProduct");
pub(crate) const UPDATE: Method = Method::new("rundoo.products.v1.ProductService/UpdateProduct");
pub(crate) const DELETE: Method = Method::new("rundoo.products.v1.ProductService/DeleteProduct");

/// Products on one page.
pub(crate) const PRODUCTS_PER_PAGE: i32 = 50;

impl Backends {
    /// A page of a list.
    pub(crate) async fn list(&self, request: ListProductsRequest) -> Result<ListProductsResponse, Refused> {
        Ok(self.products.clone().list_products(request).await?.into_inner())
    }

    /// A page of what a query finds. What is wrong with the query is a [`Refused`].
    pub(crate) async fn search(&self, request: SearchProductsRequest) -> Result<SearchProductsResponse, Refused> {
        Ok(self.products.clone().search_products(request).await?.into_inner())
    }

    /// One product, also when it is deleted.
    pub(crate) async fn get(&self, id: i64) -> Result<Product, Failure> {
        let request = GetProductRequest { id, ..Default::default() };
        let answer = self.products.clone().get_product(request).await.map_err(unanswered)?;
        product(answer.into_inner().product)
    }

    /// Several products, also deleted ones, in the order of their ids.
    pub(crate) async fn several(&self, ids: Vec<i64>) -> Result<Vec<Product>, Failure> {
        let answer = self.products.clone().batch_get_products(BatchGetProductsRequest { ids }).await;
        Ok(read(answer.map_err(unanswered)?.into_inner().products))
    }

    /// Adds a product, once for each request id.
    pub(crate) async fn create(&self, posted: &Posted) -> Result<Product, Refused> {
        let request = CreateProductRequest {
            name: posted.name.clone(),
            category: posted.category.clone(),
            sku: posted.sku.clone(),
            request_id: posted.request_id.clone(),
            ..Default::default()
        };
        changed(self.products.clone().create_product(request).await?.into_inner().product)
    }

    /// Changes the version of a product that the form was made of.
    pub(crate) async fn update(&self, id: i64, posted: &Posted) -> Result<Product, Refused> {
        let request = UpdateProductRequest {
            id,
            name: posted.name.clone(),
            category: posted.category.clone(),
            sku: posted.sku.clone(),
            etag: posted.etag.clone(),
            request_id: posted.request_id.clone(),
            ..Default::default()
        };
        changed(self.products.clone().update_product(request).await?.into_inner().product)
    }

    /// Deletes the version of a product that was shown.
    pub(crate) async fn delete(&self, id: i64, posted: &Posted) -> Result<Product, Refused> {
        let request = DeleteProductRequest {
            id,
            etag: posted.etag.clone(),
            request_id: posted.request_id.clone(),
            ..Default::default()
        };
        changed(self.products.clone().delete_product(request).await?.into_inner().product)
    }

    /// Brings a deleted product back.
    pub(crate) async fn undelete(&self, id: i64, posted: &Posted) -> Result<Product, Refused> {
        let request = UndeleteProductRequest {
            id,
            etag: posted.etag.clone(),
            request_id: posted.request_id.clone(),
            ..Default::default()
        };
        changed(self.products.clone().undelete_product(request).await?.into_inner().product)
    }

    /// Changes several products, all or none.
    pub(crate) async fn update_several(&self, request: BatchUpdateProductsRequest) -> Result<Vec<Product>, Refused> {
        Ok(read(self.products.clone().batch_update_products(request).await?.into_inner().products))
    }

    /// Deletes several products, all or none.
    pub(crate) async fn delete_several(&self, request: BatchDeleteProductsRequest) -> Result<Vec<Product>, Refused> {
        Ok(read(self.products.clone().batch_delete_products(request).await?.into_inner().products))
    }
}

fn read(records: Vec<Record>) -> Vec<Product> {
    records.into_iter().map(Product::from).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn unanswered(status: Status) -> Failure {
    Failure::of(Backend::Catalogue, &status)
}

/// A product that an answer must have.
pub(super) fn product(record: Option<Record>) -> Result<Product, Failure> {
    record
        .map(Product::from)
        .ok_or_else(|| Failure::Internal("the product catalogue answered without a product".into()))
}

pub(super) fn changed(record: Option<Record>) -> Result<Product, Refused> {
    product(record).map_err(Refused::Failed)
}
