//! What the inbound layers supply to a request, and what outbound calls inherit of it.
//!
//! A handler reads it with [`Call::of`]. It is also the one task-local of the mesh,
//! so that outbound calls and log records inherit request id, trace, caller and
//! deadline; domain code never reads that.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

mod trace;

pub use trace::Trace;

tokio::task_local! {
    static CURRENT: Call;
}

const REQUEST_ID: &str = "x-request-id";
const CALLER: &str = "x-rundoo-caller";
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const TIMEOUT: &str = "grpc-timeout";

/// What is known of one request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Call(Arc<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    request_id: String,
    trace: Trace,
    caller: String,
    deadline: Option<Instant>,
}

impl Call {
    /// Begins a call from the headers of a request: takes what is well-formed, makes the rest.
    pub fn begin(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = text(REQUEST_ID).filter(|id| is_request_id(id));
        let caller = text(CALLER).filter(|caller| is_caller(caller));
        let trace = text(TRACEPARENT).and_then(Trace::parse).map(|trace| trace.with_state(text(TRACESTATE)));
        Self(Arc::new(Parts {
            request_id: request_id.map_or_else(new_request_id, str::to_owned),
            trace: trace.map_or_else(Trace::root, |trace| trace.child()),
            caller: caller.unwrap_or("unknown").to_owned(),
            deadline: text(TIMEOUT).and_then(parse_timeout).and_then(|left| Instant::now().checked_add(left)),
        }))
    }

    /// What the inbound layers know of this request; a fresh call when there were none.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self::begin(&HeaderMap::new()))
    }

    /// The call that this task works for, if any. For layers and the log, not for domain code.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` so that its outbound calls and log records belong to this call.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The same call with a deadline, unless it has an earlier one.
    pub fn within(self, limit: Duration) -> Self {
        let deadline = Instant::now() + limit;
        let earlier = self.0.deadline.map_or(deadline, |own| own.min(deadline));
        Self(Arc::new(Parts { deadline: Some(earlier), ..Parts::clone(&self.0) }))
    }

    /// Names the request in every log record, and to people.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Who calls, as service/instance; `unknown` when it did not say.
    pub fn caller(&self) -> &str {
        &self.0.caller
    }

    /// The trace that this request is part of: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.0.trace.id()
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// How long the caller still waits, or `default` when it did not say.
    pub fn remaining_or(&self, default: Duration) -> Duration {
        self.0.deadline.map_or(default, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Writes what the next process should know into the headers of an outbound request.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap) {
        set(headers, REQUEST_ID, &self.0.request_id);
        set(headers, TRACEPARENT, &self.0.trace.to_string());
        if let Some(state) = self.0.trace.state() {
            set(headers, TRACESTATE, state);
        }
        if let Some(deadline) = self.0.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let own = headers.get(TIMEOUT).and_then(|value| value.to_str().ok()).and_then(parse_timeout);
            set(headers, TIMEOUT, &format_timeout(own.map_or(left, |own| own.min(left))));
        }
    }

    /// Writes the request id into the headers of an answer.
    pub(crate) fn answer(&self, headers: &mut HeaderMap) {
        set(headers, REQUEST_ID, &self.0.request_id);
    }
}

/// Names the calling process in the headers of an outbound request.
pub(crate) fn write_caller(headers: &mut HeaderMap, caller: &str) {
    set(headers, CALLER, caller);
}

/// How long the sender of these headers waits for the whole call, if it said so.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    headers.get(TIMEOUT).and_then(|value| value.to_str().ok()).and_then(parse_timeout)
}

/// Spawns a task that inherits the present call. The task must end by itself.
#[expect(clippy::disallowed_methods, reason = "this is the one place that carries the call over")]
pub fn spawn<F>(name: &'static str, work: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tracing::trace!("spawned {name}");
    match Call::current() {
        Some(call) => tokio::spawn(call.scope(work)),
        None => tokio::spawn(work),
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Names a request, and guards nothing: no system call is spent on its chance.
fn new_request_id() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid().to_string()
}

fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_caller(caller: &str) -> bool {
    (1..=128).contains(&caller.len()) && caller.bytes().all(|b| b.is_ascii_graphic())
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes `grpc-timeout` in the finest unit that eight digits hold.
fn format_timeout(left: Duration) -> String {
    let fits = |count: u128| count < 100_000_000;
    if fits(left.as_micros()) {
        format!("{}u", left.as_micros())
    } else if fits(left.as_millis()) {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", left.as_secs().min(99_999_999))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_what_the_caller_sent() {
        let mut headers = HeaderMap::new();
        set(&mut headers, REQUEST_ID, "abc-1");
        set(&mut headers, CALLER, "portal/1234");
        set(&mut headers, TIMEOUT, "250m");

        let call = Call::begin(&headers);

        assert_eq!(call.request_id(), "abc-1");
        assert_eq!(call.caller(), "portal/1234");
        assert!(call.remaining_or(Duration::MAX) <= Duration::from_millis(250));
    }

    #[test]
    fn hostile_headers_are_replaced() {
        let mut headers = HeaderMap::new();
        set(&mut headers, REQUEST_ID, "a b\tc");
        set(&mut headers, CALLER, &"x".repeat(4000));
        set(&mut headers, TIMEOUT, "999999999S");

        let call = Call::begin(&headers);

        assert_eq!(call.request_id().len(), 36);
        assert_eq!(call.caller(), "unknown");
        assert_eq!(call.deadline(), None);
    }

    #[test]
    fn timeouts_survive_the_wire() {
        for left in [Duration::ZERO, Duration::from_micros(1), Duration::from_secs(30), Duration::from_secs(90_000)] {
            assert_eq!(parse_timeout(&format_timeout(left)), Some(left));
        }
        for garbage in ["", "S", "1", "-1S", "1x", "é", "123456789m"] {
            assert_eq!(parse_timeout(garbage), None, "{garbage}");
        }
    }
}
