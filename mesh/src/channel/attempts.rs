//! A call as a series of attempts: to whom, how often, and when it is enough.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::call::{self, Call, timeout};
use crate::channel::balancer::Wish;
use crate::channel::connection::{Connection, SendError};
use crate::channel::endpoint::Endpoint;
use crate::channel::flight::Flight;
use crate::channel::outbound::Outbound;
use crate::channel::replay::{self, Outgoing, Read, Replay};
use crate::channel::{Channel, answer};
use crate::methods::{Method, Repeatable};
use crate::refusal::Refusal;
use crate::series::Measured;
use crate::spans::Exporter;

/// How long a call waits for a connection where one could not be opened before it fails in words.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long it does where nothing has failed yet: the first connections are on their way.
const FIRST: Duration = Duration::from_secs(1);

/// How often one call is tried at most (gRFC A6 caps at 5 too).
const ATTEMPTS: u32 = 5;

/// How long an instance that left the list may still answer before another one is asked: it finishes what it has.
const GRACE: Duration = Duration::from_secs(1);

/// gRFC A6: how many milliseconds to wait before another attempt; what is no number forbids one.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Longer than this nobody is kept waiting for another attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Channel {
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let method = self.0.methods.get(request.uri().path());
        let kind = method.map(|method| method.kind).unwrap_or_default();
        let series = self.0.made.series(request.uri().path(), kind);
        let span = self.introduce(&mut request);
        let outbound = Outbound::begin(Measured::begin(series), span);
        let deadline = timeout::read(request.headers()).and_then(|left| Instant::now().checked_add(left));

        self.0.budget.deposit();
        // In place: a future that is moved takes its room twice.
        let mut sent = pin!(self.send_as(method, request, (outbound, deadline)));
        let Some(deadline) = deadline else { return sent.await };
        let late = pin!(tokio::time::sleep_until(deadline));
        tokio::select! {
            biased;
            answered = &mut sent => answered,
            () = late => Err(self.late()),
        }
    }

    /// Writes into a request what the other side should know; answers what its span is to be.
    fn introduce(&self, request: &mut Request<Body>) -> Option<(Exporter, call::Trace, Call)> {
        call::write_caller(request.headers_mut(), &self.0.caller);
        let call = Call::current()?;
        let Some(spans) = self.0.spans.as_ref().filter(|_| call.trace().is_sampled()) else {
            call.write_to(request.headers_mut(), call.trace());
            return None;
        };
        let trace = call.trace().clone().child();
        call.write_to(request.headers_mut(), &trace);
        Some((spans.clone(), trace, call))
    }

    async fn send_as(
        &self,
        method: Option<Method>,
        request: Request<Body>,
        (outbound, deadline): (Outbound, Option<Instant>),
    ) -> Result<Response<Body>, Status> {
        let repeatable = method.map_or(Repeatable::Never, |method| method.repeatable);
        let sent = match repeatable {
            Repeatable::Never => self.send_once(request, (outbound, deadline)).await,
            _ => match Replay::read(request, repeatable).await {
                Ok(Outgoing::Kept(replay)) => {
                    outbound.series().add_sent(replay.len());
                    let mut outbound = Some(outbound);
                    let read = self.send_repeatable(&replay, (&mut outbound, deadline)).await;
                    // Gone with a large answer, which is not at its end.
                    if let Some(mut outbound) = outbound {
                        outbound.series().add_received(read.as_ref().map_or(0, |read| read.bytes));
                        outbound.end(read.as_ref().map_or_else(Status::code, |read| read.code));
                    }
                    return read.map(|read| read.response);
                }
                Ok(Outgoing::Once(request)) => self.send_once(request, (outbound, deadline)).await,
                Err(status) => Err((status, outbound)),
            },
        };
        sent.map_err(|(status, mut outbound)| {
            outbound.end(status.code());
            status
        })
    }

    /// Sends a request once; one that a connection did not take goes to another.
    async fn send_once(
        &self,
        mut request: Request<Body>,
        (outbound, deadline): (Outbound, Option<Instant>),
    ) -> Result<Response<Body>, (Status, Outbound)> {
        for _ in 0..ATTEMPTS {
            let connection = match self.connection(Wish::default()).await {
                Ok(connection) => connection,
                Err(status) => return Err((status, outbound)),
            };
            let mut flight = self.flight(&connection, deadline);
            match connection.send(request).await {
                Ok(response) => return Ok(answer::arriving(response, flight, (outbound, deadline))),
                Err(SendError::Unsent(unsent)) => {
                    self.0.balancer.remove(&connection);
                    request = *unsent;
                    if let Some(deadline) = deadline {
                        let left = deadline.saturating_duration_since(Instant::now());
                        timeout::refresh(request.headers_mut(), left);
                    }
                }
                Err(SendError::Lost(cause)) => {
                    flight.end(Code::Unavailable);
                    return Err((self.lost(&connection, &cause), outbound));
                }
            }
        }
        Err((self.nobody("every connection broke before the request was sent"), outbound))
    }

    /// Sends a request until an instance answers it whole, as often as the budget allows.
    async fn send_repeatable(
        &self,
        replay: &Replay,
        (outbound, deadline): (&mut Option<Outbound>, Option<Instant>),
    ) -> Result<Read, Status> {
        let mut tried: Option<Arc<Endpoint>> = None;
        let mut attempts = 0;
        loop {
            let wish = Wish { avoid: tried.as_ref(), may_probe: attempts + 1 < ATTEMPTS };
            let connection = self.connection(wish).await?;
            let (failed, was_sent) = match self.attempt(replay, &connection, (outbound, attempts, deadline)).await {
                Attempt::Answered(read) => return Ok(read),
                Attempt::Failed(failed) => (failed, true),
                Attempt::Unsent(failed) => (failed, false),
            };
            attempts += 1;
            let Some(wait) = failed.wait.filter(|_| attempts < ATTEMPTS) else { return failed.into_answer() };
            let is_too_late = deadline.is_some_and(|deadline| Instant::now() + wait >= deadline);
            // The budget is asked last, so that nothing is taken out for what is not done.
            if is_too_late || (was_sent && !(replay.is_repeatable() && self.0.budget.withdraw())) {
                return failed.into_answer();
            }
            if let Some(outbound) = outbound.as_ref().filter(|_| was_sent) {
                outbound.series().add_retry();
            }
            tokio::time::sleep(wait).await;
            tried = Some(connection.endpoint().clone());
        }
    }

    async fn attempt(
        &self,
        replay: &Replay,
        connection: &Arc<Connection>,
        (outbound, attempts, deadline): (&mut Option<Outbound>, u32, Option<Instant>),
    ) -> Attempt {
        let mut flight = self.flight(connection, deadline);
        let whole = pin!(async {
            match connection.send(replay.request(attempts, deadline)).await {
                Ok(response) => match replay::whole(response, flight, (outbound, deadline)).await {
                    Ok((read, trailers)) => Attempt::judge(read, trailers.as_ref()),
                    Err(status) => Attempt::Failed(Failed::again(status)),
                },
                Err(SendError::Unsent(_)) => {
                    self.0.balancer.remove(connection);
                    let status = self.lost(connection, &"it was closed before the request was sent");
                    Attempt::Unsent(Failed::again(status))
                }
                Err(SendError::Lost(cause)) => {
                    flight.end(Code::Unavailable);
                    Attempt::Failed(Failed::again(self.lost(connection, &cause)))
                }
            }
        });
        // An instance that left the list may never answer: another one will.
        let left = pin!(async {
            connection.unlisted().await;
            tokio::time::sleep(GRACE).await;
        });
        tokio::select! {
            biased;
            attempt = whole => attempt,
            () = left => Attempt::Failed(Failed::again(self.lost(connection, &"it is not listed any more"))),
        }
    }

    fn flight(&self, connection: &Arc<Connection>, deadline: Option<Instant>) -> Flight {
        Flight::begin(connection.endpoint().clone(), self.0.balancer.clone(), deadline)
    }

    async fn connection(&self, wish: Wish<'_>) -> Result<Arc<Connection>, Status> {
        if let Some(connection) = self.0.balancer.pick(wish) {
            return Ok(connection);
        }
        if self.0.picture.borrow().is_known_empty() {
            return Err(self.nobody(&self.situation()));
        }
        tokio::select! {
            picked = self.0.balancer.picked(wish) => Ok(picked),
            () = self.hopeless() => Err(self.nobody(&self.situation())),
        }
    }

    /// Waits for as long as a connection may still come.
    async fn hopeless(&self) {
        let (mut empty, mut troubled) = (self.0.picture.clone(), self.0.picture.clone());
        let failed = async {
            tokio::select! {
                () = self.0.balancer.troubled() => {}
                Ok(_) = troubled.wait_for(|picture| picture.trouble.is_some()) => {}
            }
        };
        let too_long = async {
            let _failed = tokio::join!(tokio::time::sleep(PATIENCE), tokio::time::timeout(FIRST, failed));
        };
        tokio::select! {
            () = too_long => {}
            // Whoever paints it may be gone, as may be with fixed addresses: then time decides.
            Ok(_) = empty.wait_for(|picture| picture.is_known_empty()) => {}
        }
    }
}

/// What came of an attempt.
enum Attempt {
    /// An answer, or a refusal that would be the same elsewhere.
    Answered(Read),
    /// It may have been received.
    Failed(Failed),
    /// It was not received.
    Unsent(Failed),
}

/// An attempt that failed, and what the caller gets when it was the last.
struct Failed {
    answer: Result<Read, Status>,
    /// How long to wait before another attempt; none when there must not be one.
    wait: Option<Duration>,
}

impl Failed {
    fn again(status: Status) -> Self {
        Self { answer: Err(status), wait: Some(Duration::ZERO) }
    }

    fn into_answer(self) -> Result<Read, Status> {
        self.answer
    }
}

impl Attempt {
    fn judge(read: Read, trailers: Option<&HeaderMap>) -> Self {
        // Nearly every call ends here.
        if !matches!(read.code, Code::Unavailable | Code::ResourceExhausted) {
            return Self::Answered(read);
        }
        let Some(status) = read.status(trailers) else { return Self::Answered(read) };
        let told = pushback(trailers.unwrap_or(read.response.headers()), &status);
        let wait = match (status.code(), told) {
            (_, Some(told)) => told,
            // UNAVAILABLE with a reason of the service's own, such as a database that is away, is the same everywhere.
            (Code::Unavailable, None) => {
                let reason = Refusal::reason(&status);
                matches!(reason.as_deref(), None | Some("CONNECTION_LOST" | "STOPPING")).then_some(Duration::ZERO)
            }
            _ => None,
        };
        match wait {
            Some(_) => Self::Failed(Failed { answer: Ok(read), wait }),
            None => Self::Answered(read),
        }
    }
}

/// What the server says about another attempt: nothing, never (`Some(None)`), or after a while.
fn pushback(trailers: &HeaderMap, status: &Status) -> Option<Option<Duration>> {
    let told = match trailers.get(PUSHBACK) {
        Some(told) => told.to_str().ok().and_then(|told| told.parse().ok()).map(Duration::from_millis),
        None => Some(Refusal::retry_delay(status)?),
    };
    Some(told.filter(|wait| *wait <= LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_when_to_come_again_or_never() {
        let told = |text: &'static str| {
            let mut trailers = HeaderMap::new();
            trailers.insert(PUSHBACK, http::HeaderValue::from_static(text));
            pushback(&trailers, &Status::unavailable("busy"))
        };
        let wait = Duration::from_millis(70);
        let info = Refusal::new(Code::ResourceExhausted, "test", "BUSY", "busy").retry_after(wait).into_status();

        assert_eq!(told("25"), Some(Some(Duration::from_millis(25))));
        assert_eq!((told("-1"), told("nonsense"), told("3600000")), (Some(None), Some(None), Some(None)));
        assert_eq!(pushback(&HeaderMap::new(), &info), Some(Some(wait)));
        assert_eq!(pushback(&HeaderMap::new(), &Status::unavailable("no word")), None);
    }
}
