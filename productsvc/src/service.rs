//! `ProductService`: the contract's words into the catalogue's, and back.
//!
//! Translation only: what is right and what happens is decided elsewhere.

mod admin;
mod answers;
mod categories;
mod changes;
mod exports;
mod imports;
mod lists;
mod jobs;
mod requests;

use std::time::Duration;

pub use admin::AdminService;
use mesh::Call;
use proto::products::product_service_server::ProductService as Contract;
use proto::products::*;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::info;

use crate::error::Error;
use crate::history::History;
use crate::product::Product;
use crate::search;
use crate::search::finder::Finder;
use crate::service::changes::Watcher;
use crate::service::exports::Export;
use crate::service::requests::Which;
use crate::store::{ProductStore, RequestKey};
use crate::version::{self, Author};
use crate::write::{Step, Write};

/// How long the database may take when the caller does not say how long it waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the catalogue.
#[derive(Debug, Clone)]
pub struct ProductService {
    store: ProductStore,
    history: History,
    finder: Finder,
    stopping: CancellationToken,
}

impl ProductService {
    /// Serves what is in `store`, and what was there in `history`; imports end when the
    /// process is `stopping`.
    pub fn new(store: ProductStore, history: History, stopping: CancellationToken) -> Self {
        Self { finder: Finder::new(store.clone()), store, history, stopping }
    }

    /// Takes the only step of a write.
    async fn take(&self, write: Write, key: Option<RequestKey>, deadline: Instant) -> Result<Option<Product>, Error> {
        let products = self.write(write, key, deadline).await.map_err(Error::alone)?;
        Ok(products.into_iter().next())
    }

    async fn write(&self, write: Write, key: Option<RequestKey>, deadline: Instant) -> Result<Vec<Product>, Error> {
        let done = if write.validate_only { "would have" } else { "has" };
        let (verb, count) = (write.steps.first().map_or("did", Step::verb), write.steps.len());
        let products = self.store.write(write, key, deadline).await?;
        match products.as_slice() {
            [product] if count == 1 => {
                let (id, version) = (product.id, product.version);
                info!(product.id = id, product.version = version, "{done} {verb} product {id}, version {version}");
            }
            products => info!("{done} {verb} {} products", products.len()),
        }
        Ok(products)
    }
}

#[tonic::async_trait]
impl Contract for ProductService {
    async fn create_product(
        &self,
        request: Request<CreateProductRequest>,
    ) -> Result<Response<CreateProductResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (write, key) = requests::create(request.into_inner(), author)?;
        let product = self.take(write, key, deadline).await?;
        Ok(Response::new(CreateProductResponse { product: product.map(answers::product) }))
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Result<Response<GetProductResponse>, Status> {
        let deadline = deadline(&request);
        let product = match requests::find(request.into_inner())? {
            (Which::Id(id), None) => self.store.find(id, deadline).await?,
            (Which::Id(id), Some(moment)) => self.history.find_as_of(id, moment, deadline).await?,
            (Which::Sku(sku), None) => self.store.find_by_sku(&sku, deadline).await?,
            (Which::Sku(sku), Some(moment)) => {
                let id = self.store.find_by_sku(&sku, deadline).await?.id;
                self.history.find_as_of(id, moment, deadline).await?
            }
        };
        Ok(Response::new(GetProductResponse { product: Some(answers::product(product)) }))
    }

    async fn batch_get_products(
        &self,
        request: Request<BatchGetProductsRequest>,
    ) -> Result<Response<BatchGetProductsResponse>, Status> {
        let deadline = deadline(&request);
        let ids = requests::ids(request.into_inner().ids)?;
        let products = self.store.find_all(&ids, deadline).await?;
        Ok(Response::new(BatchGetProductsResponse { products: products.into_iter().map(answers::product).collect() }))
    }

    async fn update_product(
        &self,
        request: Request<UpdateProductRequest>,
    ) -> Result<Response<UpdateProductResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (write, key) = requests::update(request.into_inner(), author)?;
        let product = self.take(write, key, deadline).await?;
        Ok(Response::new(UpdateProductResponse { product: product.map(answers::product) }))
    }

    async fn delete_product(
        &self,
        request: Request<DeleteProductRequest>,
    ) -> Result<Response<DeleteProductResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (write, key) = requests::delete(request.into_inner(), author)?;
        let product = self.take(write, key, deadline).await?;
        Ok(Response::new(DeleteProductResponse { product: product.map(answers::product) }))
    }

    async fn undelete_product(
        &self,
        request: Request<UndeleteProductRequest>,
    ) -> Result<Response<UndeleteProductResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (write, key) = requests::undelete(request.into_inner(), author)?;
        let product = self.take(write, key, deadline).await?;
        Ok(Response::new(UndeleteProductResponse { product: product.map(answers::product) }))
    }

    async fn restore_product_version(
        &self,
        request: Request<RestoreProductVersionRequest>,
    ) -> Result<Response<RestoreProductVersionResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (mut write, key) = requests::restore(request.into_inner(), author)?;
        self.history.resolve(&mut write, deadline).await?;
        let product = self.take(write, key, deadline).await?;
        Ok(Response::new(RestoreProductVersionResponse { product: product.map(answers::product) }))
    }

    async fn batch_create_products(
        &self,
        request: Request<BatchCreateProductsRequest>,
    ) -> Result<Response<BatchCreateProductsResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (write, key) = requests::batch_create(request.into_inner(), author)?;
        let products = self.write(write, key, deadline).await?;
        Ok(Response::new(BatchCreateProductsResponse {
            products: products.into_iter().map(answers::product).collect(),
        }))
    }

    async fn batch_update_products(
        &self,
        request: Request<BatchUpdateProductsRequest>,
    ) -> Result<Response<BatchUpdateProductsResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (write, key) = requests::batch_update(request.into_inner(), author)?;
        let products = self.write(write, key, deadline).await?;
        Ok(Response::new(BatchUpdateProductsResponse {
            products: products.into_iter().map(answers::product).collect(),
        }))
    }

    async fn batch_delete_products(
        &self,
        request: Request<BatchDeleteProductsRequest>,
    ) -> Result<Response<BatchDeleteProductsResponse>, Status> {
        let (deadline, author) = (deadline(&request), author(&request));
        let (write, key) = requests::batch_delete(request.into_inner(), author)?;
        let products = self.write(write, key, deadline).await?;
        Ok(Response::new(BatchDeleteProductsResponse {
            products: products.into_iter().map(answers::product).collect(),
        }))
    }

    async fn list_product_versions(
        &self,
        request: Request<ListProductVersionsRequest>,
    ) -> Result<Response<ListProductVersionsResponse>, Status> {
        let deadline = deadline(&request);
        let (id, size, before) = requests::versions(&request.into_inner())?;
        let (versions, more) = self.history.page(id, before, size, deadline).await?;
        let last = versions.last().filter(|_| more).map(|version| version.product.version);
        Ok(Response::new(ListProductVersionsResponse {
            next_page_token: last.map(|version| requests::versions_token(id, version)).unwrap_or_default(),
            versions: versions.into_iter().map(answers::version).collect(),
        }))
    }

    async fn get_product_version(
        &self,
        request: Request<GetProductVersionRequest>,
    ) -> Result<Response<GetProductVersionResponse>, Status> {
        let deadline = deadline(&request);
        let (id, version) = requests::find_version(&request.into_inner())?;
        let version = self.history.find_version(id, version, deadline).await?;
        Ok(Response::new(GetProductVersionResponse { version: Some(answers::version(version)) }))
    }

    async fn compare_product_versions(
        &self,
        request: Request<CompareProductVersionsRequest>,
    ) -> Result<Response<CompareProductVersionsResponse>, Status> {
        let deadline = deadline(&request);
        let (id, from, to) = requests::compare(&request.into_inner())?;
        let from = self.history.find_version(id, from, deadline).await?;
        let to = self.history.find_version(id, to, deadline).await?;
        let differences = version::compare(&from.product, &to.product);
        Ok(Response::new(CompareProductVersionsResponse {
            differences: differences.into_iter().map(answers::difference).collect(),
            from: Some(answers::version(from)),
            to: Some(answers::version(to)),
        }))
    }

    type WatchProductsStream = ReceiverStream<Result<WatchProductsResponse, Status>>;

    async fn watch_products(
        &self,
        request: Request<WatchProductsRequest>,
    ) -> Result<Response<Self::WatchProductsStream>, Status> {
        let (told, changes) = mpsc::channel(changes::AHEAD);
        let after = request.into_inner().after_sequence;
        let watcher = Watcher::begin(self.store.clone(), after, told).await?;
        mesh::spawn("product watcher", watcher.run(self.stopping.clone()));
        Ok(Response::new(ReceiverStream::new(changes)))
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(lists::list(&self.store, &request.into_inner(), deadline).await?))
    }

    type ExportProductsStream = ReceiverStream<Result<ExportProductsResponse, Status>>;

    async fn export_products(
        &self,
        request: Request<ExportProductsRequest>,
    ) -> Result<Response<Self::ExportProductsStream>, Status> {
        let export = Export::parse(self.store.clone(), &request.into_inner())?;
        let (last_word, sender, batches) = exports::channel();
        mesh::spawn("product export", export.run(sender, last_word, self.stopping.clone()));
        Ok(Response::new(ReceiverStream::new(batches)))
    }

    async fn search_products(
        &self,
        request: Request<SearchProductsRequest>,
    ) -> Result<Response<SearchProductsResponse>, Status> {
        const METHOD: &str = "SearchProducts";
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (query, size) = requests::search(&request)?;
        let field = format!("{:?}", query.field());
        let arguments = [field.as_str(), query.key()];
        let cursor = search::place::Cursor::parse(&request.page_token, METHOD, &arguments)?;
        let found = self.finder.find(&query, &cursor, size, deadline).await?;
        Ok(Response::new(SearchProductsResponse {
            next_page_token: search::place::Cursor::token(found.next.as_ref(), METHOD, &arguments),
            previous_page_token: search::place::Cursor::token(found.previous.as_ref(), METHOD, &arguments),
            results: found.hits.into_iter().map(|hit| answers::hit(&query, hit)).collect(),
            truncated: found.truncated,
            suggestions: found.suggestions,
        }))
    }

    async fn list_categories(
        &self,
        request: Request<ListCategoriesRequest>,
    ) -> Result<Response<ListCategoriesResponse>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(categories::list(&self.store, &request.into_inner(), deadline).await?))
    }

    type RenameCategoryStream = ReceiverStream<Result<RenameCategoryResponse, Status>>;

    async fn rename_category(
        &self,
        request: Request<RenameCategoryRequest>,
    ) -> Result<Response<Self::RenameCategoryStream>, Status> {
        let author = author(&request);
        let told = categories::rename(&self.store, request.into_inner(), author, self.stopping.clone()).await?;
        Ok(Response::new(ReceiverStream::new(told)))
    }

    async fn import_products(
        &self,
        request: Request<Streaming<ImportProductsRequest>>,
    ) -> Result<Response<ImportProductsResponse>, Status> {
        let call = Call::of(&request);
        tokio::select! {
            received = imports::receive(&self.store, request.into_inner(), &call) => received.map(Response::new),
            // What is stored stays; the client goes on with another instance.
            () = self.stopping.cancelled() => Err(Error::Stopping.into()),
        }
    }

    async fn get_import_job(
        &self,
        request: Request<GetImportJobRequest>,
    ) -> Result<Response<GetImportJobResponse>, Status> {
        jobs::get(&self.store, request).await
    }

    async fn list_import_jobs(
        &self,
        request: Request<ListImportJobsRequest>,
    ) -> Result<Response<ListImportJobsResponse>, Status> {
        jobs::list(&self.store, request).await
    }

    type WatchImportJobStream = jobs::Watched;

    async fn watch_import_job(
        &self,
        request: Request<WatchImportJobRequest>,
    ) -> Result<Response<Self::WatchImportJobStream>, Status> {
        jobs::watch(&self.store, request, self.stopping.clone()).await
    }

    async fn list_import_refusals(
        &self,
        request: Request<ListImportRefusalsRequest>,
    ) -> Result<Response<ListImportRefusalsResponse>, Status> {
        jobs::refusals(&self.store, request).await
    }

    async fn list_import_changes(
        &self,
        request: Request<ListImportChangesRequest>,
    ) -> Result<Response<ListImportChangesResponse>, Status> {
        jobs::changes(&self.store, request).await
    }

    async fn commit_import(
        &self,
        request: Request<CommitImportRequest>,
    ) -> Result<Response<CommitImportResponse>, Status> {
        jobs::commit(&self.store, request).await
    }

    async fn cancel_import(
        &self,
        request: Request<CancelImportRequest>,
    ) -> Result<Response<CancelImportResponse>, Status> {
        jobs::cancel(&self.store, request).await
    }

    async fn undo_import(&self, request: Request<UndoImportRequest>) -> Result<Response<UndoImportResponse>, Status> {
        jobs::undo(&self.store, request).await
    }

    async fn list_import_conflicts(
        &self,
        request: Request<ListImportConflictsRequest>,
    ) -> Result<Response<ListImportConflictsResponse>, Status> {
        jobs::conflicts(&self.store, request).await
    }
}

/// Until when the database may take: as long as the caller waits.
fn deadline<T>(request: &Request<T>) -> Instant {
    Call::of(request).deadline().unwrap_or_else(|| Instant::now() + PATIENCE)
}

/// Who asks: a person or else the calling process, and its request as the log knows it.
fn author<T>(request: &Request<T>) -> Author {
    author_of(&Call::of(request))
}

fn author_of(call: &Call) -> Author {
    let name = call.actor().map_or_else(|| call.caller(), |actor| actor.as_str());
    Author { name: name.to_owned(), call_id: call.request_id().to_owned(), person: call.actor().is_some() }
}
