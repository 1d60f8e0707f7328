//! Requests and answers that go on: who lost the right to one is neither heard nor told to its end.

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
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::{Denial, Door, Name, Visitor, credential::Credential};

/// How often it is asked whether a visitor still counts.
const EVERY: Duration = Duration::from_secs(2);

/// How long a look may take, and for how long looks may fail: who is not known to count is not let go on for longer.
const LOOK: Duration = Duration::from_secs(2);
const UNKNOWN: Duration = Duration::from_secs(5);

/// An answer that breaks off once who asked for it is not the same visitor any more: logged out, revoked, expired,
/// or of another role.
pub(super) fn while_counts(answer: Response, (door, credential): (Door, Credential), visitor: Visitor) -> Response {
    let call = Call::current();
    let over = async move {
        let who = visitor.name().map_or_else(String::new, Name::to_string);
        let denial = lost(&door, credential, &visitor).await;
        let say = || info!(actor = who, "broke off what {who} was reading: {denial}");
        call.map_or_else(say, |call| call.sync_scope(say));
    };
    let over: BoxFuture<'static, ()> = Box::pin(over);
    answer.map(|body| Body::new(Stay { body, over: Some(over) }))
}

/// Whether an answer is one that goes on: its length is not known when it begins.
pub(super) fn goes_on(answer: &Response) -> bool {
    http_body::Body::size_hint(answer.body()).exact().is_none()
}

/// Resolves when a credential is not this visitor's any more.
pub(super) async fn lost(door: &Door, credential: Credential, visitor: &Visitor) -> Denial {
    let mut unknown: Option<Instant> = None;
    loop {
        sleep(EVERY).await;
        let since = *unknown.get_or_insert_with(Instant::now);
        match timeout(LOOK, door.whose(credential)).await.unwrap_or(Err(Denial::Away)) {
            Ok(Some(now)) if now == *visitor => unknown = None,
            Err(Denial::Away) if since.elapsed() < UNKNOWN => {}
            Err(Denial::Away) => return Denial::Away,
            _ => return Denial::Ended,
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
