//! A catalogue through the mesh, which notes all that it is answered.
//!
//! The same story is told to each database, and what they answered is compared:
//! all of it but ids and moments, which are each database's own.

use std::collections::HashMap;

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use mesh::Refusal;
use proto::products::import_products_request::Part;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{
    CreateProductRequest, DeleteProductRequest, GetProductRequest, ImportOptions, ImportProductsRequest, ImportRow,
    ImportRows, ListProductsRequest, ListProductsResponse, Product, SearchField, SearchProductsRequest,
    UpdateProductRequest,
};
use tonic::Status;

/// Tells a story on SQLite and on PostgreSQL; they must answer the same.
pub(crate) async fn everywhere(story: impl AsyncFn(&mut Shop) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut told: Vec<Vec<String>> = Vec::new();
    for options in Options::default().on_each_database()? {
        let database = options.database_url.clone().unwrap_or_else(|| "SQLite".to_owned());
        // Shown when the story ends in a panic.
        println!("on {database}");
        let mut shop = Shop::open(options).await?;
        story(&mut shop).await.with_context(|| format!("on {database}"))?;
        told.push(shop.told);
    }
    for answers in &told[1..] {
        assert_eq!(answers, &told[0], "the databases differ");
    }
    Ok(())
}

/// A product of this SKU, under a request id of its own.
pub(crate) fn draft(name: &str, sku: &str) -> CreateProductRequest {
    let (name, category, sku) = (name.to_owned(), "Tools/Hand".to_owned(), sku.to_owned());
    CreateProductRequest { name, category, sku, request_id: fresh(), ..Default::default() }
}

/// The change that gives a product another name.
pub(crate) fn renamed(product: &Product, name: &str) -> UpdateProductRequest {
    let Product { id, category, sku, etag, .. } = product.clone();
    UpdateProductRequest { id, name: name.to_owned(), category, sku, etag, request_id: fresh(), ..Default::default() }
}

pub(crate) fn fresh() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Why a call was refused: code, reason, and the fields that are named.
pub(crate) fn why(status: &Status) -> (tonic::Code, String, Vec<String>) {
    let fields = Refusal::fields(status).into_iter().map(|(field, _)| field).collect();
    (status.code(), Refusal::reason(status).unwrap_or_default(), fields)
}

pub(crate) fn skus(products: &[Product]) -> Vec<&str> {
    products.iter().map(|product| product.sku.as_str()).collect()
}

/// A registry and a product service.
pub(crate) async fn serve(options: Options) -> anyhow::Result<System> {
    let mut system = System::prepare(options)?;
    for role in [Role::Registry, Role::Products(0)] {
        system.launch(role).await?;
    }
    system.ready().await;
    Ok(system)
}

/// A catalogue of its own: a registry and a product service.
pub(crate) struct Shop {
    pub(crate) products: ProductServiceClient<mesh::Channel>,
    told: Vec<String>,
    /// What stands for an id in what was told.
    names: HashMap<i64, String>,
    _system: System,
}

impl Shop {
    pub(crate) async fn open(options: Options) -> anyhow::Result<Self> {
        let system = serve(options).await?;
        Ok(Self { products: system.products(), told: Vec::new(), names: HashMap::new(), _system: system })
    }

    pub(crate) async fn create(&mut self, request: CreateProductRequest) -> Result<Product, Status> {
        let answer = self.products.create_product(request).await;
        self.note_one("create", answer.map(|answer| answer.into_inner().product))
    }

    /// Adds a product that nothing speaks against.
    pub(crate) async fn add(&mut self, name: &str, sku: &str) -> anyhow::Result<Product> {
        Ok(self.create(draft(name, sku)).await?)
    }

    pub(crate) async fn get(&mut self, id: i64) -> Result<Product, Status> {
        let answer = self.products.get_product(GetProductRequest { id, ..Default::default() }).await;
        self.note_one("get", answer.map(|answer| answer.into_inner().product))
    }

    pub(crate) async fn update(&mut self, request: UpdateProductRequest) -> Result<Product, Status> {
        let answer = self.products.update_product(request).await;
        self.note_one("update", answer.map(|answer| answer.into_inner().product))
    }

    pub(crate) async fn delete(&mut self, id: i64, etag: &str) -> Result<Product, Status> {
        let request = DeleteProductRequest { id, etag: etag.to_owned(), request_id: fresh(), ..Default::default() };
        let answer = self.products.delete_product(request).await;
        self.note_one("delete", answer.map(|answer| answer.into_inner().product))
    }

    pub(crate) async fn list(&mut self, size: i32, token: &str) -> Result<ListProductsResponse, Status> {
        let request = ListProductsRequest { page_size: size, page_token: token.to_owned(), ..Default::default() };
        let answer = self.products.list_products(request).await.map(tonic::Response::into_inner);
        self.note("list", answer.as_ref().map(|page| page.products.as_slice()));
        answer
    }

    /// A page of what is found, in the shape of a list.
    pub(crate) async fn search(
        &mut self,
        field: SearchField,
        query: &str,
        size: i32,
        token: &str,
    ) -> Result<ListProductsResponse, Status> {
        let (query, page_token) = (query.to_owned(), token.to_owned());
        let request = SearchProductsRequest { query, field: field.into(), page_size: size, page_token };
        let answer = self.products.search_products(request).await.map(tonic::Response::into_inner);
        let answer = answer.map(|found| ListProductsResponse {
            products: found.results.into_iter().filter_map(|result| result.product).collect(),
            next_page_token: found.next_page_token,
            previous_page_token: found.previous_page_token,
            ..Default::default()
        });
        self.note("search", answer.as_ref().map(|page| page.products.as_slice()));
        answer
    }

    /// Imports this many products: `SKU-0001` and so on, the last being the newest.
    pub(crate) async fn fill(&mut self, count: i64) -> anyhow::Result<()> {
        let row = |line: i64| ImportRow {
            line,
            name: format!("Product {line}"),
            category: format!("Aisle {}", line % 7),
            sku: format!("SKU-{line:04}"),
        };
        let rows: Vec<ImportRow> = (1..=count).map(row).collect();
        let parts = rows.chunks(1000).map(|rows| Part::Rows(ImportRows { rows: rows.to_vec() }));
        let parts = [Part::Options(ImportOptions::default())].into_iter().chain(parts);
        let messages: Vec<_> = parts.map(|part| ImportProductsRequest { part: Some(part) }).collect();
        let answer = self.products.import_products(tokio_stream::iter(messages)).await?.into_inner();
        let job = answer.job.context("no job")?;
        anyhow::ensure!((job.rows, job.created) == (count, count), "{job:?}");
        Ok(())
    }

    fn note_one(&mut self, what: &str, answer: Result<Option<Product>, Status>) -> Result<Product, Status> {
        let answer = answer.and_then(|product| product.ok_or_else(|| Status::internal("an answer without a product")));
        if let Ok(product) = &answer {
            self.names.entry(product.id).or_insert_with(|| format!("the one that was {}", product.sku));
        }
        self.note(what, answer.as_ref().map(std::slice::from_ref));
        answer
    }

    fn note(&mut self, what: &str, answer: Result<&[Product], &Status>) {
        let told = match answer {
            Ok(products) => products.iter().map(told).collect::<Vec<_>>().join("\n"),
            Err(status) => self.told_refusal(status),
        };
        self.told.push(format!("{what}: {told}"));
    }

    fn told_refusal(&self, status: &Status) -> String {
        let fields = Refusal::fields(status);
        let version = Refusal::metadata_of(status, "version");
        let holder = Refusal::metadata_of(status, "product_id").and_then(|id| id.parse().ok());
        let holder = holder.and_then(|id: i64| self.names.get(&id));
        let (code, reason, mut message) = (status.code(), Refusal::reason(status), status.message().to_owned());
        for (id, name) in &self.names {
            for end in [" ", ""] {
                let (from, to) = (format!("product {id}{end}"), format!("product {name}{end}"));
                message = if end.is_empty() {
                    message.strip_suffix(&from).map(|start| format!("{start}{to}")).unwrap_or(message)
                } else {
                    message.replace(&from, &to)
                };
            }
        }
        format!("{code:?} {reason:?} {message:?} {fields:?} {version:?} {holder:?}")
    }
}

/// A product without what each database gives of its own.
fn told(product: &Product) -> String {
    let delete_time = product.delete_time.map(|_| prost_types::Timestamp::default());
    let purge_time = product.purge_time.map(|_| prost_types::Timestamp::default());
    format!("{:?}", Product { id: 0, create_time: None, update_time: None, delete_time, purge_time, ..product.clone() })
}
