//! The inbound stack: what the mesh gives every request, outermost first.
//!
//! [`inbound`] is the whole stack, in order. A service may add its own layers
//! inside it with [`Layers::layer`], and a test may build another stack.

use axum::extract::Request;
use axum::middleware::{FromFnLayer, Next, from_fn};
use axum::response::Response;
use axum::routing::Route;
use futures_util::future::BoxFuture;
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower::{Layer, Service};

mod begin;
mod deadline;
mod panics;
mod record;
mod refusals;

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

/// A layer that is written as a function of the request and what is inside of it.
pub type Middleware = FromFnLayer<fn(Request, Next) -> BoxFuture<'static, Response>, (), (Request,)>;

/// The layers of [`inbound`]; a type with a name, so that more can be added inside of it.
pub type Standard =
    Stack<Middleware, Stack<Middleware, Stack<Middleware, Stack<Middleware, Stack<Middleware, Identity>>>>>;

/// The stack of every gRPC service of the mesh.
pub fn inbound() -> Layers<Standard> {
    Layers::new()
        // Provides the Call: request id, trace, caller, deadline. First, so that all below can say for whom they work.
        .layer("call", middleware(|request, next| Box::pin(begin::begin(request, next))))
        // Says how the request ended; outside of the deadline, so that a late one is said too.
        .layer("record", middleware(|request, next| Box::pin(record::record(request, next))))
        // Ends work that nobody waits for any more.
        .layer("deadline", middleware(|request, next| Box::pin(deadline::enforce(request, next))))
        // Gives a reason to what is refused before a handler sees it.
        .layer("refusals", middleware(|request, next| Box::pin(refusals::explain(request, next))))
        // Innermost, so that the answer to a panic still gets its request id.
        .layer("panics", middleware(|request, next| Box::pin(panics::catch(request, next))))
}

/// Makes a layer of a function.
pub fn middleware(function: fn(Request, Next) -> BoxFuture<'static, Response>) -> Middleware {
    from_fn(function)
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

#[cfg(test)]
mod tests;
