//! The head of an answer while it is made, with an escort.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;
use tonic::Status;

use super::body::EscortedBody;
use super::stage::{Escort, Head};

pin_project! {
    /// Work on an answer, with an escort, or a refusal in place of both.
    #[derive(Debug)]
    pub struct EscortedFuture<F, E> {
        #[pin]
        state: State<F, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateReplacement]
    #[derive(Debug)]
    enum State<F, E> {
        Working {
            #[pin]
            work: F,
            escort: Option<E>,
        },
        Refused { status: Option<Box<Status>> },
    }
}

impl<F, E> EscortedFuture<F, E> {
    pub(super) fn new(work: F, escort: E) -> Self {
        Self { state: State::Working { work, escort: Some(escort) } }
    }

    pub(super) fn refused(status: Status) -> Self {
        Self { state: State::Refused { status: Some(Box::new(status)) } }
    }
}

impl<F, E, B> Future for EscortedFuture<F, E>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    E: Escort,
    B: http_body::Body<Data = Bytes, Error = Status>,
{
    type Output = Result<Response<EscortedBody<B, E>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let response = match state.as_mut().project() {
            StateProjection::Working { work, escort } => {
                let head = match escort.as_mut() {
                    Some(escort) => ready!(escort.poll_head(work, cx)),
                    // Polled after its end, which nobody does.
                    None => return Poll::Pending,
                };
                match head {
                    Head::Theirs(response) => {
                        let escort = escort.take();
                        response.map(|body| EscortedBody::new(body, escort))
                    }
                    Head::Ours(status) => {
                        // What goes on inside ends now, not when the answer was read.
                        state.project_replace(State::Refused { status: None });
                        refusal(status)
                    }
                }
            }
            StateProjection::Refused { status } => match status.take() {
                Some(status) => refusal(*status),
                None => return Poll::Pending,
            },
        };
        Poll::Ready(Ok(response))
    }
}

/// A status as an answer without a body.
fn refusal<B, E>(status: Status) -> Response<EscortedBody<B, E>> {
    status.into_http::<()>().map(|()| EscortedBody::empty())
}
