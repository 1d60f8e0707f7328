//! The log service: every record that any process logged.
//!
//! Read `entry` for what is stored, `line` for how it looks in `app.log`,
//! `marks` for why nothing is stored twice, `store` for the file and its fsync,
//! `shipment` and `tail` for the two streams, `service` for the gRPC surface.
//! [`wire`] puts them together.

mod config;
mod entry;
mod line;
mod marks;
mod recent;
mod store;
mod shipment;
mod tail;
mod service;
mod error;

pub use config::Config;

use anyhow::Context as _;
use mesh::{App, Services, Sign};
use proto::logs::log_service_server::LogServiceServer;

use crate::service::LogService;
use crate::store::Store;

/// Starts the parts from top to bottom. They stop from bottom to top.
pub async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need.
    let path = config.file.display().to_string();
    let store = Store::open(&config.file).with_context(|| format!("could not open the log file {path}"))?;
    app.on_stop("log file", store.clone().close());
    let mesh = app.join_quietly(&config.mesh.registry.addresses);

    // What we are. Our own log goes to the same place, without a call to ourselves.
    let own = store.clone();
    let identity = app.identity().clone();
    app.keep_logs(move |records| shipment::keep_own(own.clone(), identity.clone(), records));
    let service = LogService::new(store, app.stopping());

    // What we offer.
    let services = Services::behind(app.inbound()).add(LogServiceServer::new(service), proto::logs::DESCRIPTORS);

    // Open the door, then put up the sign.
    let door = app.listen(config.listen).await?;
    let sign = Sign::at(door.address());
    app.serve(door, services).await?;
    app.register(&mesh, sign)
}
