//! Answers that go on: whoever lost the right to an answer is not told the rest of it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use mesh::Call;
use tokio::time::sleep;
use tracing::info;

use super::{Client, Denial, Door, Name, Visitor, credential::Credential};

/// How often it is asked whether a visitor still counts.
const EVERY: Duration = Duration::from_secs(2);

/// An answer that breaks off once who asked for it is not the same visitor any more: logged out, revoked, expired,
/// or of another role.
pub(super) fn while_counts(
    answer: Response,
    (door, credential): (Door, Credential),
    client: Client,
    visitor: Visitor,
) -> Response {
    let call = Call::current();
    let over = async move {
        let who = visitor.name().map_or_else(String::new, Name::to_string);
        gone(&door, credential, &client, visitor).await;
        let say =
            || info!(actor = who, "broke off what {who} was reading: the session or token does not count any more");
        call.map_or_else(say, |call| call.sync_scope(say));
    };
    let over: BoxFuture<'static, ()> = Box::pin(over);
    answer.map(|body| Body::new(Stay { body, over: Some(over) }))
}

/// Resolves when a credential is not this visitor's any more. What cannot be asked now is asked again.
async fn gone(door: &Door, credential: Credential, client: &Client, visitor: Visitor) {
    loop {
        sleep(EVERY).await;
        match door.identify(Some(credential), client).await {
            Ok(Some(now)) if now == visitor => {}
            Err(Denial::TooMany { .. } | Denial::Away) => {}
            _ => return,
        }
    }
}

struct Stay {
    body: Body,
    /// None once it has resolved.
    over: Option<BoxFuture<'static, ()>>,
}

impl http_body::Body for Stay {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let is_over = self.over.as_mut().is_none_or(|over| over.as_mut().poll(context).is_ready());
        if is_over {
            self.over = None;
            // An end without a last chunk: nobody is to take it for all there was.
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted).into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
