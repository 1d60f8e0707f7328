//! Makes a call the current one of the task that works for it, also while its answer is streamed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use super::stage::{Escort, Head, Stage};
use crate::call::Call;

/// Sets the current call.
#[derive(Debug)]
pub struct Scope;

/// Sets it each time that work goes on.
#[derive(Debug)]
pub struct Scoped(Call);

impl Stage for Scope {
    const NAME: &'static str = "call";
    type Value = Call;
    type Escort = Scoped;

    fn arrive(&self, request: &mut Request<Body>) -> Result<Scoped, Status> {
        Ok(Scoped(Call::in_extensions(request.extensions()).unwrap_or_else(|| Call::begin(request.headers()))))
    }
}

impl Escort for Scoped {
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        self.0.sync_scope(|| work.poll(cx)).map(|Ok(response)| Head::Theirs(response))
    }

    fn poll_frame<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>>
    where
        B: http_body::Body<Data = Bytes, Error = Status>,
    {
        self.0.sync_scope(|| body.poll_frame(cx))
    }
}
