//! What the registry last said of a service: shared by who paints it and who calls by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::time::Instant;

/// The registry's own name.
pub(crate) const REGISTRY: &str = "registry";

/// What the registry last said of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// Instances that may be called, by id.
    pub(crate) instances: BTreeMap<String, SocketAddr>,
    /// When the registry was last heard; never, when it was not reached yet.
    pub(crate) heard: Option<Instant>,
}
