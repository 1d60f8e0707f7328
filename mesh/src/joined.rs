//! The mesh, as a process that joined it sees it: channels to others by name.

use std::sync::Arc;

use crate::channel::Channel;
use crate::discovery;
use crate::graph::Graph;
use crate::identity::Identity;
use crate::picture::{self, REGISTRY};

/// Finds services by their names.
#[derive(Debug, Clone)]
pub struct Mesh {
    identity: Identity,
    registry: Channel,
    graph: Option<Arc<Graph>>,
}

impl Mesh {
    /// Joins through the registry at these addresses, HOST:PORT each. Never waits for it.
    pub(crate) fn new(identity: Identity, registry: &[String]) -> Self {
        let registry = Channel::sticky(REGISTRY, &identity, proto::registry::DESCRIPTORS, registry);
        Self { identity, registry, graph: None }
    }

    /// Joins as a client that neither serves nor registers: a tool, or a test.
    pub fn client(registry: &[String]) -> Self {
        Self::new(Identity::new("client", env!("CARGO_PKG_VERSION")), registry)
    }

    /// The same, noting in `graph` what is needed: the registry to begin with.
    pub(crate) fn noted_in(self, graph: Arc<Graph>) -> Self {
        graph.needs(REGISTRY);
        Self { graph: Some(graph), ..self }
    }

    /// A channel to the live instances of a service.
    ///
    /// `descriptors` are the service's: methods without side effects are repeated
    /// on another instance when a connection breaks.
    pub fn channel(&self, service: &'static str, descriptors: &'static [u8]) -> Channel {
        if let Some(graph) = &self.graph {
            graph.needs(service);
        }
        let (painter, viewer) = picture::canvas();
        let painting = discovery::follow(self.registry.clone(), service.to_owned(), painter);
        Channel::following(service, &self.identity, descriptors, (viewer, painting))
    }

    /// A channel to the registry itself.
    pub fn registry(&self) -> Channel {
        self.registry.clone()
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}
