//! An answer while it arrives: judged and measured at its end, bounded by the deadline.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::channel::flight::{self, Flight};
use crate::channel::outbound::Outbound;

/// Makes of a response what a generated client takes, while the call goes on to its end.
pub(crate) fn arriving(
    response: Response<Incoming>,
    flight: Flight,
    (outbound, deadline): (Outbound, Option<Instant>),
) -> Response<Body> {
    let (head, body) = response.into_parts();
    let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
    let mut arriving = Arriving { body, deadline, flight, outbound };
    if head.headers.contains_key(Status::GRPC_STATUS) {
        arriving.end(flight::code(&head.headers));
    } else if arriving.outbound.is_endless() {
        // A stream that never ends must not count as slow; that it began is what speaks for the instance.
        arriving.flight.end(Code::Ok);
    }
    Response::from_parts(head, Body::new(arriving))
}

struct Arriving {
    body: Incoming,
    deadline: Option<Pin<Box<Sleep>>>,
    flight: Flight,
    outbound: Outbound,
}

impl Arriving {
    fn end(&mut self, code: Code) {
        self.flight.end(code);
        self.outbound.end(code);
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            match &frame {
                Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                    (Some(data), _) => self.outbound.series().add_received(data.len()),
                    (_, Some(trailers)) => self.end(flight::code(trailers)),
                    _ => {}
                },
                Some(Err(_)) => self.end(Code::Unavailable),
                None => self.end(Code::Unknown),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))));
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(cx));
        self.deadline = None;
        self.end(Code::DeadlineExceeded);
        Poll::Ready(Some(Err(Status::deadline_exceeded("the answer did not end before the deadline"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The status of an answer that broke off.
pub(crate) fn broken(error: &hyper::Error) -> Status {
    Status::unavailable(format!("the connection broke in the middle of the answer: {error}"))
}
