//! The product service: the catalogue's rules and its SQL.
//!
//! It knows nothing of pages, forms or other services. Read [`product`] and
//! [`text`] for what a product is, [`page`] and [`import`] for lists and imports,
//! [`store`] for how they are kept, [`service`] for how they are offered;
//! [`importer`] is the other side of an import, the command line's.

pub mod config;
pub mod error;
pub mod import;
pub mod importer;
pub mod page;
pub mod product;
pub mod service;
pub mod store;
pub mod text;

use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use mesh::{App, Services, Sign};
use proto::products::product_service_server::ProductServiceServer;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

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
    app.spawn("request purge", {
        let products = products.clone();
        move |stopping| purge_requests(products, stopping)
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

/// The contract keeps the answers of writes for 7 days.
const REQUESTS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Nobody notices an answer that is kept an hour too long.
const PURGE_PERIOD: Duration = Duration::from_secs(60 * 60);

/// A purge is in no hurry, but must not wait for ever.
const PURGE_TIMEOUT: Duration = Duration::from_secs(30);

async fn close(products: ProductStore) -> anyhow::Result<()> {
    products.close().await;
    Ok(())
}

/// Forgets old answers of writes, now and then, until the process stops.
async fn purge_requests(products: ProductStore, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(PURGE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        loop {
            let before = Timestamp::now() - REQUESTS_KEPT;
            match products.purge_requests(before, Instant::now() + PURGE_TIMEOUT).await {
                Ok(0) => break,
                Ok(purged) => debug!("forgot {purged} answers of old writes"),
                Err(error) => {
                    warn!("could not forget the answers of old writes: {error}");
                    break;
                }
            }
            if stopping.is_cancelled() {
                return;
            }
        }
    }
}
