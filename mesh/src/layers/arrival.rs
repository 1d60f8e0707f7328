//! The message of a unary call on its way: it has a place, so it has to arrive.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use proto::mesh::ErrorReason;
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::refusal::Refusal;

/// A neighbour sends 4 MiB in a moment; who takes longer does not mean to.
const MOST: Duration = Duration::from_secs(10);

/// A body that has to be there in time. One that is costs no timer.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Body,
    began: Instant,
    late: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    pub(super) fn since(began: Instant, body: Body) -> Self {
        Self { body, began, late: None }
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let end = self.began + MOST;
        let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        ready!(late.as_mut().poll(cx));
        let message = format!("the message of the call did not arrive within {} s", MOST.as_secs());
        let reason = ErrorReason::DeadlineExceeded.as_str_name();
        let late = Refusal::new(Code::DeadlineExceeded, proto::mesh::DOMAIN, reason, message).into_status();
        Poll::Ready(Some(Err(late)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
