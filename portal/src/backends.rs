//! What the portal asks of other services, and how.
//!
//! Typed clients over the mesh's channels; deadline, request id and retries are
//! the mesh's business. What is asked of the registry stands in `registry.rs`, what is
//! asked of every instance in `stats.rs`.

pub(crate) mod exports;
pub(crate) mod imports;
pub(crate) mod registry;
pub(crate) mod stats;

use std::sync::Arc;

use mesh::{Channel, Mesh};
use prost::Message;
use proto::{
    logs::log_service_client::LogServiceClient,
    products::{
        CreateProductRequest, DeleteProductRequest, GetProductRequest, ListProductsRequest, Product as Record,
        SearchProductsRequest, UpdateProductRequest, product_service_client::ProductServiceClient,
    },
    registry::registry_service_client::RegistryServiceClient,
};
use tonic::Status;

use crate::{
    backends::stats::Channels,
    error::{Backend, Failure},
    form::Posted,
    grpcurl::{Command, Method},
    product::{Listing, Product},
    query::Search,
    refusal::Refused,
};

/// Products on one page.
const PRODUCTS_PER_PAGE: i32 = 50;

/// The services behind the pages. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Backends {
    products: ProductServiceClient<Channel>,
    registry: RegistryServiceClient<Channel>,
    logs: LogServiceClient<Channel>,
    channels: Arc<Channels>,
    /// The channels again: clients do not give them back.
    to: [Channel; 3],
}

impl Backends {
    /// Clients that find the services through the mesh.
    pub(crate) fn of(mesh: &Mesh) -> Backends {
        let to = [
            mesh.channel("productsvc", proto::products::DESCRIPTORS),
            mesh.registry(),
            mesh.channel("logsvc", proto::logs::DESCRIPTORS),
        ];
        let [products, registry, logs] = to.clone();
        Backends {
            products: ProductServiceClient::new(products),
            registry: RegistryServiceClient::new(registry),
            logs: LogServiceClient::new(logs),
            channels: Arc::new(Channels::of(mesh)),
            to,
        }
    }

    /// The channel to a backend.
    pub(crate) fn channel(&self, backend: Backend) -> &Channel {
        let [products, registry, logs] = &self.to;
        match backend {
            Backend::Catalogue => products,
            Backend::Registry => registry,
            Backend::Logs => logs,
        }
    }

    /// How grpcurl asks the same; nothing while nobody is there to be asked.
    pub(crate) fn command(&self, backend: Backend, method: Method, request: &impl Message) -> Option<Command> {
        let address = self.channel(backend).address()?;
        Some(Command::new(&address, method, request))
    }

    /// A page of products, newest first; an empty token asks for the first.
    pub(crate) async fn list(&self, page_token: String) -> Result<Listing, Failure> {
        let request = ListProductsRequest { page_size: PRODUCTS_PER_PAGE, page_token, ..Default::default() };
        let page = self.products.clone().list_products(request).await.map_err(unlisted)?.into_inner();
        Ok(Listing::new(page.products, page.previous_page_token, page.next_page_token))
    }

    /// A page of products that contain a text. What is wrong with the query is a [`Refused`].
    pub(crate) async fn search(&self, search: &Search, page_token: String) -> Result<Listing, Refused> {
        let request = SearchProductsRequest {
            query: search.text.clone(),
            field: search.field.number().into(),
            page_size: PRODUCTS_PER_PAGE,
            page_token,
        };
        let page = self.products.clone().search_products(request).await?.into_inner();
        let products = page.results.into_iter().filter_map(|result| result.product).collect();
        Ok(Listing::new(products, page.previous_page_token, page.next_page_token))
    }

    /// One product, also when it is deleted.
    pub(crate) async fn get(&self, id: i64) -> Result<Product, Failure> {
        let answer = self
            .products
            .clone()
            .get_product(GetProductRequest { id, ..Default::default() })
            .await
            .map_err(unlisted)?;
        product(answer.into_inner().product)
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
        let answer = self.products.clone().create_product(request).await?.into_inner();
        product(answer.product).map_err(Refused::Failed)
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
        let answer = self.products.clone().update_product(request).await?.into_inner();
        product(answer.product).map_err(Refused::Failed)
    }

    /// Deletes the version of a product that was shown.
    pub(crate) async fn delete(&self, id: i64, posted: &Posted) -> Result<(), Refused> {
        let request = DeleteProductRequest {
            id,
            etag: posted.etag.clone(),
            request_id: posted.request_id.clone(),
            ..Default::default()
        };
        self.products.clone().delete_product(request).await?;
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn unlisted(status: Status) -> Failure {
    Failure::of(Backend::Catalogue, &status)
}

fn product(record: Option<Record>) -> Result<Product, Failure> {
    record
        .map(Product::from)
        .ok_or_else(|| Failure::Internal("the product catalogue answered without a product".into()))
}
