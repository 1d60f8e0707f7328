//! The product service: the catalogue's rules and its SQL.
//!
//! It knows nothing of pages, forms or other services. Read [`product`] and
//! [`text`] for what a product is, [`mod@write`], [`version`] and [`ledger`] for how it
//! changes, [`order`], [`page`] and [`import`] for lists and imports, [`jobs`] for what goes on in the background, [`store`] for how they are kept, [`service`] for how they are offered;
//! [`importer`] is the other side of an import, the command line's.

pub mod config;
pub mod error;
pub mod import;
pub mod importer;
pub mod jobs;
pub mod ledger;
pub mod order;
pub mod page;
pub mod product;
pub mod purge;
pub mod service;
pub mod store;
pub mod text;
pub mod version;
pub mod write;

use anyhow::Context as _;
use mesh::{App, Services, Sign};
use proto::products::product_service_server::ProductServiceServer;

pub use config::Config;
pub use error::Error;
pub use service::ProductService;
pub use store::ProductStore;

/// Puts the product service together.
pub async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need.
    let mesh = app.join(&config.mesh.registry.addresses);
    let store = async { ProductStore::open(&config.database_url).await.context("could not open the product database") };
    let products = app.start("product store", store).await?;
    app.on_stop("product store", close(products.clone()));
    app.spawn("product purge", {
        let products = products.clone();
        move |stopping| purge::purge(products, stopping)
    });
    app.spawn("import jobs", {
        let products = products.clone();
        move |stopping| jobs::work(products, stopping)
    });

    // What we are.
    let service = ProductService::new(products, app.stopping());

    // What we offer.
    let services =
        Services::behind(app.inbound()).add(ProductServiceServer::new(service), proto::products::DESCRIPTORS);

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
