//! Provides the deadline of a call, and ends it when its caller stops waiting: DEADLINE_EXCEEDED.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::{Code, Status};

use super::stage::{Escort, Head, Stage};
use crate::call::{Call, Deadline, timeout};
use crate::refusal::Refusal;

/// A tonic client has a timer of its own that makes CANCELLED of it. Ours fires this much earlier, or after half
/// of the time when that is less: timers are right to a millisecond, and the answer has a way to go.
pub(super) const EARLIER: Duration = Duration::from_millis(5);

/// Reads the deadline and keeps it.
#[derive(Debug)]
pub struct Enforced;

/// Watches the clock, if the caller gave a deadline. Work that is done at once needs no timer.
#[derive(Debug)]
pub enum Watching {
    /// There is no deadline, or it was told that it passed.
    Nothing,
    /// Until then.
    Until(Instant),
    /// With a timer, because the work waits.
    Waiting(Pin<Box<Sleep>>),
}

impl Stage for Enforced {
    const NAME: &'static str = "deadline";
    type Value = Deadline;
    type Escort = Watching;

    fn arrive(&self, request: &mut Request<Body>) -> Result<Watching, Status> {
        let Some(call) = request.extensions().get::<Call>() else { return Ok(Watching::Nothing) };
        let timeout = timeout::read(request.headers());
        let deadline = timeout.and_then(|timeout| call.arrived().checked_add(timeout));
        call.set_deadline(deadline);
        let (Some(timeout), Some(deadline)) = (timeout, deadline) else { return Ok(Watching::Nothing) };
        if timeout.is_zero() {
            return Err(late());
        }
        let earlier = deadline - EARLIER.min(timeout / 2);
        Ok(Watching::Until(earlier))
    }
}

impl Watching {
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if let Self::Until(deadline) = self {
            *self = Self::Waiting(Box::pin(tokio::time::sleep_until(*deadline)));
        }
        let Self::Waiting(sleep) = self else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        *self = Self::Nothing;
        Poll::Ready(late())
    }
}

impl Escort for Watching {
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        if let Poll::Ready(Ok(response)) = work.poll(cx) {
            return Poll::Ready(Head::Theirs(response));
        }
        self.poll_late(cx).map(Head::Ours)
    }

    fn poll_frame<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>>
    where
        B: http_body::Body<Data = Bytes, Error = Status>,
    {
        if let Poll::Ready(frame) = body.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        self.poll_late(cx).map(|status| Some(Ok(super::stage::trailers(&status))))
    }
}

fn late() -> Status {
    let reason = proto::mesh::ErrorReason::DeadlineExceeded.as_str_name();
    Refusal::new(Code::DeadlineExceeded, proto::mesh::DOMAIN, reason, "the deadline of the call passed").into_status()
}
