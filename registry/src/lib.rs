//! The registry: who is alive, where, and since when.
//!
//! Read `instances` for the rules, `requests` for what is accepted, `heartbeats`
//! and `watchers` for the two streams, `service` for the gRPC surface. [`wire`]
//! puts them together.

mod config;
mod instances;
mod changes;
mod requests;
mod pieces;
mod shared;
mod heartbeats;
mod watchers;
mod service;
mod error;

pub use config::Config;

use mesh::{App, Services, Sign, layers};
use proto::registry::registry_service_server::RegistryServiceServer;

use crate::service::RegistryService;
use crate::shared::Shared;

/// Starts the parts from top to bottom. They stop from bottom to top.
pub async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need: nobody; the registry finds the log service through itself.
    let door = app.listen(config.listen).await?;
    let mesh = app.join(&[door.address().to_string()]);

    // What we are.
    let instances = Shared::new(config.lease());
    app.spawn("lease expiry", |stop| instances.clone().expire_leases(stop));
    app.spawn("heartbeat display", |stop| instances.clone().show_heartbeats(stop));
    let service = RegistryService::new(instances, app.stopping());

    // What we offer.
    let services =
        Services::behind(layers::inbound()).add(RegistryServiceServer::new(service), proto::registry::DESCRIPTORS);

    // Open the door, then put up the sign: the registry lists itself like any other.
    let sign = Sign::at(door.address());
    app.serve(door, services).await?;
    app.register(&mesh, sign)
}
