//! The registry: who is alive, where, and since when.
//!
//! Read `instances` for the rules and `changes` for the one history that they write;
//! `requests` for what is accepted; `heartbeats`, `watchers` and `events` for the
//! streams; `barrier` for the drain; `service` for the gRPC surface. [`wire`] puts
//! them together. [`commands`] is the other side: an operator's command line.

pub mod config;
mod registration;
mod instances;
mod changes;
mod requests;
mod speaker;
mod pieces;
mod feed;
mod shared;
mod heartbeats;
mod watchers;
mod barrier;
mod prober;
mod events;
mod discover;
mod service;
mod error;
pub mod commands;
pub mod authority;
#[doc(hidden)]
pub mod speed;

pub use config::Config;

use mesh::{App, Services, Sign};
use proto::registry::registry_service_server::RegistryServiceServer;
use tokio::sync::mpsc;

use crate::service::RegistryService;
use crate::shared::Shared;

/// Starts the parts from top to bottom. They stop from bottom to top.
pub async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need: nobody; the registry finds the log service through itself.
    let door = app.listen(config.listen).await?;
    let mesh = app.join(&[door.address().to_string()]);

    // What we are.
    // Each instance has one probe under way at most, so this queue is bounded by the table.
    let (asked, probes) = mpsc::unbounded_channel();
    let instances = Shared::new(config.rules(), asked);
    app.spawn("leases", |stop| instances.clone().sweep(stop));
    let dialled = mesh.clone();
    app.spawn("prober", |stop| prober::run((instances.clone(), dialled), probes, stop));
    app.spawn("publisher", |stop| instances.clone().publish(stop));
    app.spawn("events on the terminal", |stop| events::show(instances.clone(), stop));
    app.spawn("heartbeats on the terminal", |stop| instances.clone().show_heartbeats(stop));
    let service = RegistryService::new(instances, app.stopping());

    // What we offer.
    let services =
        Services::behind(app.inbound()).add(RegistryServiceServer::new(service), proto::registry::DESCRIPTORS);

    // Open the door, then put up the sign: the registry lists itself like any other.
    let sign = Sign::at(door.address());
    app.serve(door, services).await?;
    app.register(&mesh, sign)
}
