//! An answer while it arrives: counted as in flight to its end, bounded by the deadline.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use crate::channel::connection::Flight;

/// A response whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response<Incoming>,
    flight: Flight,
    deadline: Option<Instant>,
}

impl Answer {
    pub(crate) fn new(response: Response<Incoming>, flight: Flight) -> Self {
        Self { response, flight, deadline: None }
    }

    /// Bounds the body by the deadline of the call.
    pub(crate) fn until(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// The response as a generated client takes it.
    pub(crate) fn into_response(self) -> Response<Body> {
        let Self { response, flight, deadline } = self;
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        response.map(|body| Body::new(Arriving { body, deadline, _flight: flight }))
    }
}

struct Arriving {
    body: Incoming,
    deadline: Option<Pin<Box<Sleep>>>,
    _flight: Flight,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))));
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(Status::deadline_exceeded("the answer did not end before the deadline"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken(error: &hyper::Error) -> Status {
    Status::unavailable(format!("the connection broke in the middle of the answer: {error}"))
}
