//! What the portal asks of other services, and how.
//!
//! Typed clients over the mesh's channels; deadline, request id and retries are
//! the mesh's business. What is asked stands in a file for each noun.

pub(crate) mod categories;
pub(crate) mod exports;
pub(crate) mod graph;
pub(crate) mod imports;
pub(crate) mod logs;
pub(crate) mod products;
pub(crate) mod registry;
pub(crate) mod stats;
pub(crate) mod versions;

use std::sync::Arc;

use http::HeaderMap;
use mesh::{Call, Channel, Mesh};
use prost::Message;
use proto::{
    logs::log_service_client::LogServiceClient, products::product_service_client::ProductServiceClient,
    registry::registry_service_client::RegistryServiceClient,
};

use crate::{
    backends::{categories::Top, stats::Channels},
    error::Backend,
    grpcurl::{Command, Method},
};

/// The call of this page, for what goes on for longer than a page waits.
pub(crate) fn endless() -> Call {
    Call::current().unwrap_or_else(|| Call::begin(&HeaderMap::new())).endless()
}

/// The services behind the pages. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Backends {
    products: ProductServiceClient<Channel>,
    registry: RegistryServiceClient<Channel>,
    logs: LogServiceClient<Channel>,
    channels: Arc<Channels>,
    top: Arc<Top>,
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
            top: Arc::default(),
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

    /// The channel to a service by its name in the mesh, for those that the pages ask too.
    pub(crate) fn named(&self, service: &str) -> Option<&Channel> {
        match service {
            "productsvc" => Some(self.channel(Backend::Catalogue)),
            "registry" => Some(self.channel(Backend::Registry)),
            "logsvc" => Some(self.channel(Backend::Logs)),
            _ => None,
        }
    }

    /// How grpcurl asks the same; nothing while nobody is there to be asked.
    pub(crate) fn command(&self, backend: Backend, method: Method, request: &impl Message) -> Option<Command> {
        let channel = self.channel(backend);
        Some(Command::new(&channel.address()?, method, request).by(channel))
    }
}
