//! The inbound stack: what the mesh gives every request, outermost first.
//!
//! [`inbound`] is the whole stack, in order. A service may add its own layers
//! inside it with [`Layers::layer`], and a test may build another stack.

use axum::extract::Request;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::Route;
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower::{Layer, Service};

mod begin;
mod deadline;
mod panics;
mod record;

/// A `tower::ServiceBuilder` whose layers have names, for people and for `GetGraph`.
#[derive(Debug, Clone)]
pub struct Layers<L> {
    builder: ServiceBuilder<L>,
    names: Vec<&'static str>,
}

/// A stack that can stand in front of a service's routes.
pub trait Inbound: Layer<Route, Service: Inner> + Clone + Send + Sync + 'static {}
impl<L: Layer<Route, Service: Inner> + Clone + Send + Sync + 'static> Inbound for L {}

/// A service inside a stack.
pub trait Inner:
    Service<Request, Response = Response, Error = std::convert::Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}
impl<S> Inner for S where
    S: Service<Request, Response = Response, Error = std::convert::Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The stack of every gRPC service of the mesh.
pub fn inbound() -> Layers<impl Inbound> {
    Layers::new()
        // Provides the Call: request id, trace, caller, deadline. First, so that all below can say for whom they work.
        .layer("call", from_fn(begin::begin))
        // Says how the request ended; outside of the deadline, so that a late one is said too.
        .layer("record", from_fn(record::record))
        // Ends work that nobody waits for any more.
        .layer("deadline", from_fn(deadline::enforce))
        // Innermost, so that the answer to a panic still gets its request id.
        .layer("panics", from_fn(panics::catch))
}

impl Layers<Identity> {
    /// A stack without layers.
    pub fn new() -> Self {
        Self { builder: ServiceBuilder::new(), names: Vec::new() }
    }
}

impl Default for Layers<Identity> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> Layers<L> {
    /// Adds a layer inside the ones before it.
    pub fn layer<N>(mut self, name: &'static str, layer: N) -> Layers<Stack<N, L>> {
        self.names.push(name);
        Layers { builder: self.builder.layer(layer), names: self.names }
    }

    /// The names of the layers, outermost first.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    pub(crate) fn into_builder(self) -> ServiceBuilder<L> {
        self.builder
    }
}
