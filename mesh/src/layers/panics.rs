//! Turns a panic into INTERNAL, also while an answer is streamed; the process lives, the log has the place.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use tonic::body::Body;
use tonic::{Code, Status};

use super::stage::{Escort, Head, Stage, trailers};
use crate::call::Call;
use crate::refusal::Refusal;

/// Catches panics.
#[derive(Debug)]
pub struct Panics;

/// Catches those of one call.
#[derive(Debug)]
pub struct Catching;

impl Stage for Panics {
    const NAME: &'static str = "panics";
    type Value = ();
    type Escort = Catching;

    fn arrive(&self, _: &mut Request<Body>) -> Result<Catching, Status> {
        Ok(Catching)
    }
}

impl Escort for Catching {
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        // What panicked is dropped with what it had; services share nothing that a panic leaves half done.
        match catch_unwind(AssertUnwindSafe(|| work.poll(cx))) {
            Ok(head) => head.map(|Ok(response)| Head::Theirs(response)),
            Err(_) => Poll::Ready(Head::Ours(failed())),
        }
    }

    fn poll_frame<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>>
    where
        B: http_body::Body<Data = Bytes, Error = Status>,
    {
        match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            Ok(frame) => frame,
            Err(_) => Poll::Ready(Some(Ok(trailers(&failed())))),
        }
    }
}

fn failed() -> Status {
    let request_id = Call::current().map(|call| call.request_id().to_owned()).unwrap_or_default();
    let reason = proto::mesh::ErrorReason::Panic.as_str_name();
    Refusal::new(Code::Internal, proto::mesh::DOMAIN, reason, format!("internal error (request {request_id})"))
        .metadata("request_id", request_id)
        .into_status()
}
