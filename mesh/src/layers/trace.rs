//! Provides the trace and the request id of a call, and tells them to the caller.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;

use super::stage::{Escort, Head, Stage};
use crate::call::{Call, Trace};

/// Begins the call.
#[derive(Debug)]
pub struct Traced;

/// Answers with request id and trace.
#[derive(Debug)]
pub struct Answering(Call);

impl Stage for Traced {
    const NAME: &'static str = "trace";
    type Value = Trace;
    type Escort = Answering;

    fn arrive(&self, request: &mut Request<Body>) -> Result<Answering, Status> {
        let call = Call::begin(request.headers());
        request.extensions_mut().insert(call.clone());
        Ok(Answering(call))
    }
}

impl Escort for Answering {
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        work.poll(cx).map(|Ok(mut response)| {
            self.0.answer(response.headers_mut());
            Head::Theirs(response)
        })
    }
}
