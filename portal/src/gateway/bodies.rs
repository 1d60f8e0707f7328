//! Bodies of requests, which are held whole: so much of each, and so much of all of them.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tonic::Code;

use crate::{
    error::Failure,
    gateway::{Problem, rule},
    pages::RETRY_SECONDS,
    upload,
};

/// The largest body of a request.
const MOST_BYTES: usize = 1024 * 1024;

/// What every request may send without asking for room.
const SMALL: usize = 64 * 1024;

/// What all bodies together may have beyond that, in [`UNIT`]s: 32 MiB.
const ROOM: usize = 32 * 1024;
const UNIT: usize = 1024;

/// Who reads bodies. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    room: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// A body that has arrived, and the room that it takes: also that of the message that is made of it, until the service
/// has answered.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) bytes: Bytes,
    pub(super) room: Room,
}

/// Nothing for a small one.
pub(super) type Room = Option<OwnedSemaphorePermit>;

/// Why one was not read.
enum Unread {
    NoRoom,
    Failed(Failure),
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Unread {
        Unread::Failed(failure)
    }
}

impl Bodies {
    pub(super) fn none() -> Bodies {
        Bodies { room: Arc::new(Semaphore::new(ROOM)), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Reads the body of a request to a method that takes this of it. Room is taken as it comes, so that who sends
    /// slowly keeps none from others.
    pub(super) async fn read(&self, taken: &rule::Body, body: Body) -> Result<Arrived, Problem> {
        let most = if *taken == rule::Body::Nothing { 0 } else { MOST_BYTES };
        let mut room: Room = None;
        let grow = |bytes: usize| {
            let needed = bytes.saturating_sub(SMALL).div_ceil(UNIT);
            let more = needed.saturating_sub(room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
            if more > 0 {
                let more = u32::try_from(more).map_err(|_| Unread::NoRoom)?;
                let taken = self.room.clone().try_acquire_many_owned(more).map_err(|_| Unread::NoRoom)?;
                match &mut room {
                    Some(room) => room.merge(taken),
                    None => room = Some(taken),
                }
            }
            Ok(())
        };
        let read = upload::read_growing(body, most, grow).await;
        let bytes = read.map_err(|unread| problem(unread, taken))?;
        Ok(Arrived { bytes, room })
    }

    /// Large ones are made messages of one at a time: a message is many times what its text is.
    pub(super) async fn turn(&self, body: &Bytes) -> Option<SemaphorePermit<'_>> {
        if body.len() > SMALL { self.turn.acquire().await.ok() } else { None }
    }
}

fn problem(unread: Unread, taken: &rule::Body) -> Problem {
    match unread {
        Unread::NoRoom => {
            let words = "So many large bodies are on their way that there is no room for this one. Send it again soon.";
            let busy = Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "BODIES_BUSY", words);
            busy.with_retry(RETRY_SECONDS.into())
        }
        Unread::Failed(Failure::TooLarge) if *taken == rule::Body::Nothing => {
            Problem::invalid("This method takes no body: use the query.", Vec::new())
        }
        Unread::Failed(Failure::TooLarge) => {
            let words = format!("A body may have {} MiB.", MOST_BYTES >> 20);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument, "BODY_TOO_LARGE", words)
        }
        Unread::Failed(Failure::TooSlow) => {
            let words = "The body took too long to arrive.";
            Problem::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, "BODY_TOO_SLOW", words)
        }
        Unread::Failed(failure) => Problem::of_failure(&failure),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn reason(read: Result<Arrived, Problem>) -> String {
        read.unwrap_err().line()
    }

    #[tokio::test]
    async fn a_body_that_is_not_taken_is_not_read() {
        let bodies = Bodies::none();
        let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>("x")));
        assert!(reason(bodies.read(&rule::Body::Nothing, endless).await).contains("takes no body"));
        assert!(bodies.read(&rule::Body::Nothing, Body::empty()).await.unwrap().bytes.is_empty());
    }

    #[tokio::test]
    async fn large_bodies_share_a_room_and_leave_it() {
        let bodies = Bodies::none();
        let large = || Body::from(vec![b' '; MOST_BYTES]);
        let mut held = Vec::new();
        let refused = loop {
            match bodies.read(&rule::Body::Whole, large()).await {
                Ok(arrived) => held.push(arrived),
                refused => break reason(refused),
            }
        };
        assert!(refused.contains("BODIES_BUSY") && held.len() == 34, "{refused} after {}", held.len());
        let small = Body::from(vec![b' '; SMALL]);
        assert!(bodies.read(&rule::Body::Whole, small).await.is_ok(), "small ones need no room");

        held.clear();

        assert!(bodies.read(&rule::Body::Whole, large()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_slowly_keeps_no_room_from_others() {
        let bodies = Bodies::none();
        let slow = || {
            let first = stream::iter([Ok::<_, std::io::Error>(vec![b' '; SMALL + UNIT])]);
            Body::from_stream(first.chain(stream::pending()))
        };
        let waiting: Vec<_> = (0..500)
            .map(|_| {
                let (bodies, slow) = (bodies.clone(), slow());
                mesh::spawn("a slow body", async move { bodies.read(&rule::Body::Whole, slow).await })
            })
            .collect();
        tokio::task::yield_now().await;

        assert!(bodies.read(&rule::Body::Whole, Body::from(vec![b' '; MOST_BYTES])).await.is_ok());

        for waits in waiting {
            assert!(reason(waits.await.unwrap()).contains("BODY_TOO_SLOW"));
        }
        assert_eq!(bodies.room.available_permits(), ROOM, "it is left in any case");
    }
}
