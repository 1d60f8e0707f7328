//! A service's own layer: a function that makes a value for each request, such as a unit of work.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::limit::is_exempt;
use super::list::Provide;
use crate::call::Call;

/// Makes a value of a request's headers and its call, or refuses it.
type Make<V> = Arc<dyn Fn(Call, Parts) -> BoxFuture<'static, Result<V, Status>> + Send + Sync>;

/// A layer that supplies a value of the type `V` to each request.
///
/// `make` sees the call as the layers outside supply it, and the request without its
/// body. The value lives as long as the call: its `Drop` is the end of a unit of work.
/// Health checks, reflection and `MeshService` pass without one: no service of ours reads it there.
pub fn provide<V, F>(name: &'static str, make: impl Fn(Call, Parts) -> F + Send + Sync + 'static) -> Provided<V>
where
    F: Future<Output = Result<V, Status>> + Send + 'static,
{
    Provided { name, make: Arc::new(move |call, parts| Box::pin(make(call, parts))), value: PhantomData }
}

/// The layer that [`provide`] makes.
pub struct Provided<V> {
    name: &'static str,
    make: Make<V>,
    value: PhantomData<fn() -> V>,
}

impl<V> Clone for Provided<V> {
    fn clone(&self) -> Self {
        Self { name: self.name, make: self.make.clone(), value: PhantomData }
    }
}

impl<V> std::fmt::Debug for Provided<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} provides {}", self.name, std::any::type_name::<V>())
    }
}

impl<V: 'static> Provide for Provided<V> {
    type Value = V;

    fn name(&self) -> &'static str {
        self.name
    }
}

impl<V, S> Layer<S> for Provided<V> {
    type Service = Providing<V, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Providing { make: self.make.clone(), inner }
    }
}

/// The layer in front of a service.
pub struct Providing<V, S> {
    make: Make<V>,
    inner: S,
}

impl<V, S: Clone> Clone for Providing<V, S> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), inner: self.inner.clone() }
    }
}

impl<V, S: std::fmt::Debug> std::fmt::Debug for Providing<V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Providing").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<V, S, B> Service<Request<Body>> for Providing<V, S>
where
    V: Send + Sync + 'static,
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: http_body::Body<Data = Bytes, Error = Status> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_exempt(request.uri().path()) {
            let answer = self.inner.call(request);
            return Box::pin(async move { answer.await.map(|response| response.map(Body::new)) });
        }
        let (mut parts, body) = request.into_parts();
        let call = Call::in_extensions(&parts.extensions).unwrap_or_else(|| Call::begin(&parts.headers));
        parts.extensions.insert(call.clone());
        let (made, mut inner) = ((self.make)(call.clone(), parts.clone()), self.inner.clone());
        Box::pin(async move {
            match made.await {
                Ok(value) => {
                    call.provide(value);
                    inner.call(Request::from_parts(parts, body)).await.map(|response| response.map(Body::new))
                }
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}
