//! `ProductService`: the contract's words into the catalogue's, and back.
//!
//! Translation only: what is right and what happens is decided elsewhere.

mod answers;
mod imports;
mod requests;

use std::time::Duration;

use mesh::Call;
use proto::products::product_service_server::ProductService as Contract;
use proto::products::{
    CreateProductRequest, CreateProductResponse, DeleteProductRequest, DeleteProductResponse, GetImportJobRequest,
    GetImportJobResponse, GetProductRequest, GetProductResponse, ImportProductsRequest, ImportProductsResponse,
    ListImportRefusalsRequest, ListImportRefusalsResponse, ListProductsRequest, ListProductsResponse,
    SearchProductsRequest, SearchProductsResponse, UpdateProductRequest, UpdateProductResponse,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::info;

use crate::page::Cursor;
use crate::store::ProductStore;

/// How long the database may take when the caller does not say how long it waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the catalogue.
#[derive(Debug, Clone)]
pub struct ProductService {
    store: ProductStore,
    stopping: CancellationToken,
}

impl ProductService {
    /// Serves what is in `store`; imports end when the process is `stopping`.
    pub fn new(store: ProductStore, stopping: CancellationToken) -> Self {
        Self { store, stopping }
    }
}

#[tonic::async_trait]
impl Contract for ProductService {
    async fn create_product(
        &self,
        request: Request<CreateProductRequest>,
    ) -> Result<Response<CreateProductResponse>, Status> {
        let deadline = deadline(&request);
        let (draft, key) = requests::create(request.into_inner())?;
        let product = self.store.create(&draft, key.as_ref(), deadline).await?;
        info!(product.id = product.id, "created product {}", product.id);
        Ok(Response::new(CreateProductResponse { product: Some(answers::product(product)) }))
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Result<Response<GetProductResponse>, Status> {
        let deadline = deadline(&request);
        let id = requests::id(request.into_inner().id)?;
        let product = self.store.find(id, deadline).await?;
        Ok(Response::new(GetProductResponse { product: Some(answers::product(product)) }))
    }

    async fn update_product(
        &self,
        request: Request<UpdateProductRequest>,
    ) -> Result<Response<UpdateProductResponse>, Status> {
        let deadline = deadline(&request);
        let (change, key) = requests::update(request.into_inner())?;
        let product = self.store.update(&change, key.as_ref(), deadline).await?;
        let (id, version) = (product.id, product.version);
        info!(product.id = id, product.version = version, "updated product {id} to version {version}");
        Ok(Response::new(UpdateProductResponse { product: Some(answers::product(product)) }))
    }

    async fn delete_product(
        &self,
        request: Request<DeleteProductRequest>,
    ) -> Result<Response<DeleteProductResponse>, Status> {
        let deadline = deadline(&request);
        let (id, etag, key) = requests::delete(request.into_inner())?;
        let product = self.store.delete(id, etag, key.as_ref(), deadline).await?;
        info!(product.id = id, "deleted product {id}");
        Ok(Response::new(DeleteProductResponse { product: Some(answers::product(product)) }))
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        const METHOD: &str = "ListProducts";
        let deadline = deadline(&request);
        let ListProductsRequest { page_size, page_token } = request.into_inner();
        let size = requests::page_size(page_size)?;
        let cursor = Cursor::parse(&page_token, METHOD, &[])?;
        let page = self.store.page(None, cursor, size, deadline).await?;
        Ok(Response::new(ListProductsResponse {
            next_page_token: Cursor::token(page.next, METHOD, &[]),
            previous_page_token: Cursor::token(page.previous, METHOD, &[]),
            products: page.items.into_iter().map(answers::product).collect(),
        }))
    }

    async fn search_products(
        &self,
        request: Request<SearchProductsRequest>,
    ) -> Result<Response<SearchProductsResponse>, Status> {
        const METHOD: &str = "SearchProducts";
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (search, size) = requests::search(&request)?;
        let field = format!("{:?}", search.field);
        let arguments = [field.as_str(), search.query.key()];
        let cursor = Cursor::parse(&request.page_token, METHOD, &arguments)?;
        let page = self.store.page(Some(&search), cursor, size, deadline).await?;
        Ok(Response::new(SearchProductsResponse {
            next_page_token: Cursor::token(page.next, METHOD, &arguments),
            previous_page_token: Cursor::token(page.previous, METHOD, &arguments),
            products: page.items.into_iter().map(answers::product).collect(),
        }))
    }

    async fn import_products(
        &self,
        request: Request<Streaming<ImportProductsRequest>>,
    ) -> Result<Response<ImportProductsResponse>, Status> {
        let call = Call::of(&request);
        let import = imports::receive(&self.store, request.into_inner(), call.deadline());
        let (job, refused) = tokio::select! {
            received = import => received?,
            // What is stored stays; the client goes on with another instance.
            () = self.stopping.cancelled() => return Err(crate::Error::Stopping.into()),
        };
        let refusals = refused.into_iter().map(answers::refusal).collect();
        Ok(Response::new(ImportProductsResponse { job: Some(answers::job(job)), refusals }))
    }

    async fn get_import_job(
        &self,
        request: Request<GetImportJobRequest>,
    ) -> Result<Response<GetImportJobResponse>, Status> {
        let deadline = deadline(&request);
        let id = requests::id(request.into_inner().id)?;
        let job = self.store.find_import(id, deadline).await?;
        Ok(Response::new(GetImportJobResponse { job: Some(answers::job(job)) }))
    }

    async fn list_import_refusals(
        &self,
        request: Request<ListImportRefusalsRequest>,
    ) -> Result<Response<ListImportRefusalsResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (id, size, after) = requests::refusals(&request)?;
        self.store.find_import(id, deadline).await?;
        let mut refused = self.store.refused_rows(id, after, size + 1, deadline).await?;
        let more = refused.len() > size;
        refused.truncate(size);
        let last = refused.last().filter(|_| more).map(|refused| refused.row.line);
        let next_page_token = last.map(|line| requests::refusals_token(id, line)).unwrap_or_default();
        Ok(Response::new(ListImportRefusalsResponse {
            refusals: refused.into_iter().map(answers::refusal).collect(),
            next_page_token,
        }))
    }
}

/// Until when the database may take: as long as the caller waits.
fn deadline<T>(request: &Request<T>) -> Instant {
    Call::of(request).deadline().unwrap_or_else(|| Instant::now() + PATIENCE)
}
