//! The log service: every record that any process logged.
//!
//! Read `entry` for what is stored and `store` for how; `filter`, `scan`, `search`
//! and `tail` for how it is read; `shipment` for how it comes, and why nothing is
//! stored twice; `service` for the gRPC surface. [`wire`] puts them together.

pub mod config;
mod level;
mod entry;
mod store;
mod filter;
mod scan;
mod search;
mod tail;
mod speakers;
mod wishes;
mod shipment;
mod statistics;
mod service;
mod line;
mod mirror;
pub mod commands;
mod otlp;
mod forward;
mod copies;
mod cause;
mod error;
#[cfg(test)]
mod samples;

pub use config::Config;

use std::sync::Arc;

use anyhow::Context as _;
use mesh::{App, Services, Sign};
use proto::logs::log_service_server::LogServiceServer;

use crate::copies::Copies;
use crate::entry::Source;
use crate::forward::{Feed, Forwarder};
use crate::mirror::Mirror;
use crate::otlp::Receiver;
use crate::service::LogService;
use crate::shipment::Intake;
use crate::store::Store;

/// Starts the parts from top to bottom. They stop from bottom to top.
pub async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need.
    let path = config.data.display().to_string();
    let store = Store::open(store::real(), &config.data, config.policy())
        .with_context(|| format!("could not open the log in {path}"))?;
    app.on_stop("log store", store.clone().close());
    app.end_when(store.failed());
    let place =
        mirror::Place { file: config.file.clone(), cursor: config.data.join("mirror.cursor"), limit: mirror::LIMIT };
    let read = store.clone();
    let mirror = Mirror::start(place, move |from, most| read.read(from, most), store.end())
        .context("could not start the mirror of the log")?;
    app.on_stop("app.log", mirror.close());
    let forwarder = start_forwarding(app, &config, &store)?;
    start_copies(app, &config, &store)?;
    let mesh = app.join_quietly(&config.mesh.registry.addresses);

    // What we are. Our own log goes to the same place, without a call to ourselves.
    let intake = Intake { store, speakers: Arc::default(), wishes: Arc::default(), complaints: Default::default() };
    let (own, identity) = (intake.clone(), app.identity());
    let instance = || identity.instance().to_owned();
    let source = Source::parse(identity.service().to_owned(), instance(), instance(), identity.incarnation())?;
    let source = Arc::new(source);
    let speaker = source.clone();
    app.keep_logs(move |records| {
        let (own, source) = (own.clone(), speaker.clone());
        async move { Ok(own.keep(source, Some(entry::now()), records).await?) }
    });
    let receiver = Receiver::new(intake.clone());
    let service = LogService::new(intake, source, forwarder, (config.data, app.stopping()));

    // What we offer.
    let services = Services::behind(app.inbound())
        .add(LogServiceServer::new(service), proto::logs::DESCRIPTORS)
        .add(receiver, proto::otlp::DESCRIPTORS);

    // Open the door, then put up the sign.
    let door = app.listen(config.listen).await?;
    let sign = Sign::at(door.address());
    app.serve(door, services).await?;
    app.register(&mesh, sign)
}

/// Hands records on, if there is somebody to hand them on to.
fn start_forwarding(app: &mut App, config: &Config, store: &Store) -> anyhow::Result<Option<Forwarder>> {
    // Empty is as good as not set.
    let Some(endpoint) = config.forward.clone().filter(|endpoint| !endpoint.is_empty()) else {
        return Ok(None);
    };
    let identity = app.identity();
    let own = Source::unsequenced(identity.service().to_owned(), identity.instance().to_owned());
    let settings = forward::Settings { endpoint, folder: config.data.clone(), own };
    let forwarder = Forwarder::start(settings, Feed::of(store)).context("could not start forwarding")?;
    let running = forwarder.clone();
    app.on_stop("forwarding", async move {
        running.stop().await;
        Ok(())
    });
    Ok(Some(forwarder))
}

/// Copies segments, if there is somewhere to copy them to.
fn start_copies(app: &mut App, config: &Config, store: &Store) -> anyhow::Result<()> {
    let Some(url) = config.copy_to.as_deref().filter(|url| !url.is_empty()) else {
        return Ok(());
    };
    let store = store.clone();
    let copies = Copies::start(url, Box::new(move || store.sealed()))?;
    app.on_stop("segment copies", async move {
        copies.stop().await;
        Ok(())
    });
    Ok(())
}
