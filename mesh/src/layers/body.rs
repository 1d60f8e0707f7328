//! The body of an answer while it is sent, with an escort.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use super::stage::Escort;

pin_project! {
    /// A body whose frames pass an escort. The escort leaves with the last one.
    #[derive(Debug)]
    pub struct EscortedBody<B, E> {
        #[pin]
        body: Option<B>,
        escort: Option<E>,
    }
}

impl<B, E> EscortedBody<B, E> {
    pub(super) fn new(body: B, escort: Option<E>) -> Self {
        Self { body: Some(body), escort }
    }

    pub(super) fn empty() -> Self {
        Self { body: None, escort: None }
    }
}

impl<B, E> http_body::Body for EscortedBody<B, E>
where
    B: http_body::Body<Data = Bytes, Error = Status>,
    E: Escort,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let frame = match this.escort {
            Some(escort) => ready!(escort.poll_frame(body, cx)),
            None => ready!(body.poll_frame(cx)),
        };
        // Trailers are the last that is sent.
        if !matches!(&frame, Some(Ok(frame)) if !frame.is_trailers()) {
            this.body.set(None);
            *this.escort = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}
