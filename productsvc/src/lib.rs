//! The product service: the catalogue's rules and its SQL.
//!
//! It knows nothing of pages, forms or other services. Read [`product`] and
//! [`text`] for what a product is, [`mod@write`], [`version`] and [`ledger`] for how it
//! changes, [`order`], [`filter`], [`page`] and [`import`] for lists and imports, [`search`] and
//! [`indexer`] for searches, [`store`] for how they are kept, [`service`] for how they are offered;
//! [`jobs`] for what goes on in the background; [`importer`] and [`exporter`] are the other side
//! of an import and an export, the command line's, [`lake`] has what is old, [`archive`] brings it there, [`history`] reads what was wherever it is,
//! and [`keeper`] what is done with the database itself; [`adoption`] is what becomes of the
//! first Rundoo's products.

pub mod adoption;
pub mod archive;
pub mod category;
pub mod config;
pub mod error;
pub mod exporter;
pub mod filter;
pub mod history;
pub mod import;
pub mod importer;
pub mod indexer;
pub mod jobs;
pub mod keeper;
pub mod lake;
pub mod ledger;
pub mod order;
pub mod page;
pub mod product;
pub mod purge;
pub mod range;
pub mod rename;
pub mod search;
pub mod selection;
pub mod service;
pub mod store;
pub mod terminal;
pub mod text;
pub mod unfinished;
pub mod version;
pub mod write;

use anyhow::Context as _;
use mesh::{App, Services, Sign};
use proto::products::admin_service_server::AdminServiceServer;
use proto::products::product_service_server::ProductServiceServer;

pub use config::Config;
pub use error::Error;
pub use history::History;
pub use lake::Lake;
pub use service::{AdminService, ProductService};
pub use store::ProductStore;

/// Puts the product service together.
pub async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need.
    let mesh = app.join(&config.mesh.registry.addresses);
    let store = Box::pin(async {
        ProductStore::open(&config.database.database_url).await.context("could not open the product database")
    });
    // A large catalogue is adopted, or migrated, in its own time.
    let products = app.prepare("product store", store).await?;
    app.on_stop("product store", close(products.clone()));
    app.spawn("search indexer", {
        let products = products.clone();
        move |stopping| indexer::index(products, stopping)
    });
    app.spawn("product purge", {
        let products = products.clone();
        move |stopping| purge::purge(products, stopping)
    });
    app.spawn("import jobs", {
        let products = products.clone();
        move |stopping| jobs::work(products, stopping)
    });

    let lake = config.lake.as_deref().filter(|lake| !lake.is_empty()).map(Lake::open).transpose()?;

    // What we are.
    let history = History::new(products.clone(), lake.clone());
    let admin = AdminService::new(products.clone(), lake, app.stopping());
    let service = ProductService::new(products, history, app.stopping());

    // What we offer.
    let services = Services::behind(app.inbound())
        .add(ProductServiceServer::new(service), proto::products::DESCRIPTORS)
        .add(AdminServiceServer::new(admin), proto::products::DESCRIPTORS);

    // Open the door, then put up the sign.
    let door = app.listen(config.listen).await?;
    let sign = Sign::at(door.address());
    app.serve(door, services).await?;
    app.register(&mesh, sign)
}

async fn close(products: ProductStore) -> anyhow::Result<()> {
    products.close().await;
    Ok(())
}
