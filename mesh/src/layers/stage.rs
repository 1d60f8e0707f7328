//! A layer as two parts: what it does when a request arrives, and who goes with the call to its end.
//!
//! [`Stage::arrive`] runs when the connection hands the request over, not when a
//! task gets to it: under load that is what makes a limit see the queue. Nothing
//! is boxed on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::body::EscortedBody;
use super::future::EscortedFuture;
use super::list::Provide;

/// What a layer is.
pub trait Stage: Send + Sync + 'static {
    /// For people, and for `GetGraph`.
    const NAME: &'static str;

    /// What it supplies to the call; `()` for nothing.
    type Value: 'static;

    /// Who goes with a call.
    type Escort: Escort;

    /// Receives a request: sends an escort along, or refuses.
    fn arrive(&self, request: &mut Request<Body>) -> Result<Self::Escort, Status>;
}

/// Goes with one call from its arrival to the end of its answer. Dropped when nobody waits any more.
pub trait Escort: Unpin + Send + 'static {
    /// Asks for the head of the answer.
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        work.poll(cx).map(|Ok(response)| Head::Theirs(response))
    }

    /// Asks for the next frame of the answer's body.
    fn poll_frame<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>>
    where
        B: http_body::Body<Data = Bytes, Error = Status>,
    {
        body.poll_frame(cx)
    }
}

/// Nobody goes along.
impl Escort for () {}

/// The head of an answer.
#[derive(Debug)]
pub enum Head<B> {
    /// As it came from inside.
    Theirs(Response<B>),
    /// A status in place of it; what goes on inside is dropped.
    Ours(Status),
}

/// A service inside a stack: what the stack as a whole is to a connection.
pub trait Inner: Clone + Send + 'static {
    /// Receives a request; its answer is what comes of the future.
    fn receive(&mut self, request: Request<Body>) -> BoxFuture<'static, Response<Body>>;
}

impl<S, B> Inner for S
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error = Status> + Send + 'static,
{
    fn receive(&mut self, request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        // Called now, so that every layer sees the request before any task does.
        let answer = self.call(request);
        Box::pin(async move {
            let Ok(response) = answer.await;
            response.map(Body::new)
        })
    }
}

/// A stage as a `tower::Layer`.
#[derive(Debug)]
pub struct Staged<T>(Arc<T>);

impl<T: Stage> Staged<T> {
    /// Makes a layer of it.
    pub fn new(stage: T) -> Self {
        Self(Arc::new(stage))
    }
}

impl<T> Clone for Staged<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Stage> Provide for Staged<T> {
    type Value = T::Value;

    fn name(&self) -> &'static str {
        T::NAME
    }
}

impl<T, S> Layer<S> for Staged<T> {
    type Service = StagedService<T, S>;

    fn layer(&self, inner: S) -> Self::Service {
        StagedService { stage: self.0.clone(), inner }
    }
}

/// A stage in front of a service.
#[derive(Debug)]
pub struct StagedService<T, S> {
    stage: Arc<T>,
    inner: S,
}

impl<T, S: Clone> Clone for StagedService<T, S> {
    fn clone(&self) -> Self {
        Self { stage: self.stage.clone(), inner: self.inner.clone() }
    }
}

impl<T, S, B> Service<Request<Body>> for StagedService<T, S>
where
    T: Stage,
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = Bytes, Error = Status>,
{
    type Response = Response<EscortedBody<B, T::Escort>>;
    type Error = Infallible;
    type Future = EscortedFuture<S::Future, T::Escort>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.stage.arrive(&mut request) {
            Ok(escort) => EscortedFuture::new(self.inner.call(request), escort),
            Err(status) => EscortedFuture::refused(status),
        }
    }
}

/// A status as the last frame of an answer that had begun.
pub(super) fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = http::HeaderMap::new();
    // A message that is no header value has no place in trailers; the code has.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from(status.code() as i32));
    }
    Frame::trailers(trailers)
}
