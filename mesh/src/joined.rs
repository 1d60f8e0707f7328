//! The mesh, as a process that joined it sees it: channels to others by name.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::channel::{Channel, Dial, Io, Origin, Source, Target};
use crate::config::RegistryAddress;
use crate::discovery;
use crate::graph::Graph;
use crate::identity::Identity;
use crate::picture::{self, REGISTRY};
use crate::tls::{Certificates, Peer};

/// Finds services by their names.
#[derive(Debug, Clone)]
pub struct Mesh {
    origin: Origin,
    registry: Channel,
    graph: Option<Arc<Graph>>,
}

impl Mesh {
    /// Joins through the registry at these addresses, HOST:PORT each. Never waits for it.
    pub(crate) fn new(origin: Origin, registry: &[String]) -> Self {
        let target = Target { service: REGISTRY, descriptors: proto::registry::DESCRIPTORS };
        let registry = Channel::sticky(target, &origin, (Peer::Service(REGISTRY.to_owned()), registry));
        Self { origin, registry, graph: None }
    }

    /// Joins in plain text as a client that neither serves nor registers: a tool, or a test.
    pub fn client(registry: &[String]) -> Self {
        Self::new(Origin::of(Identity::new("client", env!("CARGO_PKG_VERSION"))), registry)
    }

    /// The same by mutual TLS, where its files are given. Fails in words when they are of no use.
    pub fn client_of(registry: &RegistryAddress) -> anyhow::Result<Self> {
        let certificates = Certificates::start(&registry.tls)?;
        let identity = Identity::new("client", env!("CARGO_PKG_VERSION"));
        Ok(Self::new(Origin { certificates, ..Origin::of(identity) }, &registry.addresses))
    }

    /// The same, noting in `graph` what is needed: the registry to begin with.
    pub(crate) fn noted_in(self, graph: Arc<Graph>) -> Self {
        graph.needs(REGISTRY);
        Self { graph: Some(graph), ..self }
    }

    /// A channel to the live instances of a service.
    ///
    /// `descriptors` are the service's: they say which methods may be repeated on
    /// another instance when a connection breaks.
    pub fn channel(&self, service: &'static str, descriptors: &'static [u8]) -> Channel {
        if let Some(graph) = &self.graph {
            graph.needs(service);
        }
        self.discovered(service, descriptors)
    }

    /// The same to a service that this process does not need, but has heard of.
    pub fn discovered(&self, service: &str, descriptors: &[u8]) -> Channel {
        let (painter, viewer) = picture::canvas();
        let painting = discovery::follow(self.registry.clone(), service.to_owned(), painter);
        Channel::following(Target { service, descriptors }, &self.origin, Source::Registry, (viewer, painting))
    }

    /// A channel to one process of the mesh, wherever it is: for what is asked of each.
    pub fn instance(&self, address: SocketAddr) -> Channel {
        let target = Target { service: "instance", descriptors: proto::mesh::DESCRIPTORS };
        Channel::sticky(target, &self.origin, (Peer::Any, &[address.to_string()]))
    }

    /// Opens a connection to any process of the mesh, as channels do: for who speaks gRPC without one.
    pub async fn dial(&self, address: SocketAddr) -> io::Result<Box<dyn Io>> {
        Dial::to(Peer::Any, self.origin.certificates.clone()).open(&address.to_string()).await
    }

    /// Whether connections are encrypted.
    pub fn is_secure(&self) -> bool {
        self.origin.certificates.is_some()
    }

    /// A channel to the registry itself.
    pub fn registry(&self) -> Channel {
        self.registry.clone()
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.origin.identity
    }
}
