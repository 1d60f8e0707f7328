//! What the inbound layers supply to a request, and what outbound calls inherit of it.
//!
//! A handler reads it with [`Call::of`]. It is also the one task-local of the mesh,
//! so that outbound calls and log records inherit request id, trace, caller and
//! deadline; domain code never reads that.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

mod actor;
mod caller;
pub(crate) mod timeout;
mod trace;
mod values;

pub use actor::Actor;
pub use caller::Caller;
pub use trace::Trace;

use values::Values;

tokio::task_local! {
    static CURRENT: Call;
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static CALLER: HeaderName = HeaderName::from_static("x-rundoo-caller");
static ACTOR: HeaderName = HeaderName::from_static("x-rundoo-actor");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The W3C's name for what `traceparent` is in an answer.
static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// What is known of one request. Cheap to clone.
///
/// Layers supply it, from the outside in; each says once what it knows.
#[derive(Debug, Clone)]
pub struct Call(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    request_id: String,
    trace: Trace,
    arrived: Instant,
    caller: OnceLock<Caller>,
    actor: OnceLock<Actor>,
    deadline: OnceLock<Deadline>,
    permit: OnceLock<Permit>,
    values: Values,
}

/// When the caller of a request stops waiting, if it said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Option<Instant>);

/// A place among the calls that a process works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Calls that were worked on when it was given, this one included; 0 for what needs no place, as a stream.
    pub beside: u32,
}

impl Call {
    /// Begins a call from the headers of a request, now: takes a well-formed request id and
    /// trace, or makes them.
    pub fn begin(headers: &HeaderMap) -> Self {
        let request_id = headers.get(&REQUEST_ID).map(HeaderValue::as_bytes).and_then(read_request_id);
        Self(Arc::new(Parts {
            request_id: request_id.map_or_else(new_request_id, str::to_owned),
            trace: Trace::next(headers),
            arrived: Instant::now(),
            caller: OnceLock::new(),
            actor: OnceLock::new(),
            deadline: OnceLock::new(),
            permit: OnceLock::new(),
            values: Values::default(),
        }))
    }

    /// What the inbound layers know of this request; a fresh call when there were none.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        Self::in_extensions(request.extensions()).unwrap_or_else(|| Self::begin(&HeaderMap::new()))
    }

    pub(crate) fn in_extensions(extensions: &http::Extensions) -> Option<Self> {
        extensions.get::<Self>().cloned()
    }

    /// The call that this task works for, if any. For layers and the log, not for domain code.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Looks at the call that this task works for, if any, without a share in it: for what happens often.
    pub(crate) fn peek(look: impl FnOnce(&Self)) {
        // Outside of a call there is nothing to look at.
        let _outside = CURRENT.try_with(look);
    }

    /// Runs `work` so that its outbound calls and log records belong to this call.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The same for work that does not wait.
    pub fn sync_scope<R>(&self, work: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self.clone(), work)
    }

    /// Bounds the call, unless it is bounded already.
    pub fn within(self, limit: Duration) -> Self {
        self.set_deadline(Some(self.0.arrived + limit));
        self
    }

    /// The same request, without a deadline: for an answer that goes on for as long as somebody reads it.
    #[must_use]
    pub fn endless(&self) -> Self {
        self.until(None)
    }

    /// The same request with another deadline, counted from when it came.
    #[must_use]
    pub fn bounded(&self, limit: Duration) -> Self {
        self.until(Some(self.0.arrived + limit))
    }

    fn until(&self, deadline: Option<Instant>) -> Self {
        let call = Self(Arc::new(Parts {
            request_id: self.0.request_id.clone(),
            trace: self.trace().clone(),
            arrived: self.0.arrived,
            caller: OnceLock::new(),
            actor: self.0.actor.clone(),
            deadline: OnceLock::new(),
            permit: OnceLock::new(),
            values: Values::default(),
        }));
        call.set_deadline(deadline);
        call
    }

    /// Says when the caller stops waiting; the first word counts.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        let _said_before = self.0.deadline.set(Deadline(deadline));
    }

    /// Says which place the call has; the first word counts.
    pub(crate) fn set_permit(&self, permit: Permit) {
        let _said_before = self.0.permit.set(permit);
    }

    /// Says who calls; the first word counts.
    pub(crate) fn set_caller(&self, caller: Caller) {
        let _said_before = self.0.caller.set(caller);
    }

    /// Says for whom the call is made, as this process knows by itself; the first word counts.
    pub fn set_actor(&self, actor: Actor) {
        let _said_before = self.0.actor.set(actor);
    }

    /// Supplies a value to everything inside of the layer that says this. Of two of a type the later one counts.
    pub fn provide<V: Send + Sync + 'static>(&self, value: V) {
        self.0.values.push(Box::new(value));
    }

    /// The value of a type that a layer supplied.
    pub fn get<V: 'static>(&self) -> Option<&V> {
        let supplied = self.0.values.last::<V>();
        supplied.or_else(|| {
            let caller = self.0.caller.get().map(|caller| caller as &dyn Any);
            let deadline = self.0.deadline.get().map(|deadline| deadline as &dyn Any);
            let permit = self.0.permit.get().map(|permit| permit as &dyn Any);
            let own = [Some(&self.0.trace as &dyn Any), caller, deadline, permit, Some(self)];
            own.into_iter().flatten().find_map(|value| value.downcast_ref::<V>())
        })
    }

    /// Names the request in every log record, and to people.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Who calls, as service/instance; `unknown` when it did not say.
    pub fn caller(&self) -> &str {
        self.get::<Caller>().map_or("unknown", Caller::as_str)
    }

    /// For whom the call is made, when somebody said so who is believed.
    pub fn actor(&self) -> Option<&Actor> {
        self.0.actor.get()
    }

    /// Where in which trace the request is.
    pub fn trace(&self) -> &Trace {
        self.0.values.last::<Trace>().unwrap_or(&self.0.trace)
    }

    /// The trace that this request is part of: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace().trace_id())
    }

    /// When the request came.
    pub fn arrived(&self) -> Instant {
        self.0.arrived
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.get::<Deadline>().and_then(|deadline| deadline.0)
    }

    /// How long the caller still waits, or `default` when it did not say.
    pub fn remaining_or(&self, default: Duration) -> Duration {
        self.deadline().map_or(default, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Writes what the next process should know into the headers of an outbound request, which is
    /// at `trace`.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap, trace: &Trace) {
        set_once(headers, &REQUEST_ID, self.0.request_id.clone());
        set_once(headers, &TRACEPARENT, trace.parent_header());
        if let Some(state) = trace.state() {
            set_once(headers, &TRACESTATE, state.to_owned());
        }
        if let Some(actor) = self.actor().and_then(|actor| HeaderValue::from_str(actor.as_str()).ok()) {
            headers.insert(ACTOR.clone(), actor);
        }
        if let Some(deadline) = self.deadline() {
            timeout::shorten(headers, deadline.saturating_duration_since(Instant::now()));
        }
    }

    /// Writes request id and trace into the headers of an answer.
    pub(crate) fn answer(&self, headers: &mut HeaderMap) {
        set_once(headers, &REQUEST_ID, self.0.request_id.clone());
        set_once(headers, &TRACERESPONSE, self.trace().parent_header());
    }
}

/// Who sent these headers, as it says itself.
pub(crate) fn read_caller(headers: &HeaderMap) -> Caller {
    Caller::read(headers.get(&CALLER).and_then(|value| value.to_str().ok()))
}

/// Whether these headers say who sent them.
pub(crate) fn names_caller(headers: &HeaderMap) -> bool {
    headers.contains_key(&CALLER)
}

/// For whom these headers were sent, as their sender says.
pub(crate) fn read_actor(headers: &HeaderMap) -> Option<Actor> {
    headers.get(&ACTOR).and_then(|value| value.to_str().ok()).and_then(Actor::read)
}

/// Names the calling process in the headers of an outbound request.
pub(crate) fn write_caller(headers: &mut HeaderMap, caller: &HeaderValue) {
    headers.insert(CALLER.clone(), caller.clone());
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

/// Sets a header whose value is another one each time.
///
/// HPACK keeps values that may come again in a small table, compares new ones with them,
/// and throws others out for them; one that is marked is not put there.
fn set_once(headers: &mut HeaderMap, name: &HeaderName, value: String) {
    if let Ok(mut value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
}

/// Names a request, and guards nothing: no system call is spent on its chance.
fn new_request_id() -> String {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    id.hyphenated().encode_lower(&mut text).to_owned()
}

fn read_request_id(id: &[u8]) -> Option<&str> {
    let readable = (1..=64).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
    std::str::from_utf8(id).ok().filter(|_| readable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_what_the_caller_sent() {
        let mut headers = HeaderMap::new();
        set_once(&mut headers, &REQUEST_ID, "abc-1".to_owned());
        set_once(&mut headers, &CALLER, "portal/1234".to_owned());

        let call = Call::begin(&headers).within(Duration::from_millis(250));
        call.set_caller(read_caller(&headers));

        assert_eq!(call.request_id(), "abc-1");
        assert_eq!(call.caller(), "portal/1234");
        assert_eq!(call.get::<Caller>().unwrap().service(), "portal");
        assert!(call.remaining_or(Duration::MAX) <= Duration::from_millis(250));
    }

    #[test]
    fn hostile_headers_are_replaced() {
        let mut headers = HeaderMap::new();
        set_once(&mut headers, &REQUEST_ID, "a b\tc".to_owned());
        set_once(&mut headers, &CALLER, "x".repeat(4000));

        let call = Call::begin(&headers);
        call.set_caller(read_caller(&headers));

        assert_eq!(call.request_id().len(), 36);
        assert_eq!(call.caller(), "unknown");
        assert_eq!(call.deadline(), None);
    }

    #[test]
    fn an_actor_travels_with_outbound_calls_and_is_never_taken_from_a_request_by_itself() {
        let mut headers = HeaderMap::new();
        headers.insert(&ACTOR, HeaderValue::from_static("mallory"));
        let call = Call::begin(&headers);
        assert_eq!(call.actor(), None);

        call.set_actor(Actor::read("ann").unwrap());
        call.set_actor(Actor::read("bob").unwrap());
        call.endless().write_to(&mut headers, call.trace());

        assert_eq!(read_actor(&headers), Actor::read("ann"));
    }

    #[test]
    fn an_endless_call_is_the_same_request_without_its_deadline() {
        let call = Call::begin(&HeaderMap::new()).within(Duration::from_secs(1));

        let endless = call.endless().within(Duration::from_secs(1));

        assert_eq!((endless.request_id(), endless.trace_id()), (call.request_id(), call.trace_id()));
        assert_eq!(endless.deadline(), None);
    }

    #[test]
    fn a_decorated_value_counts_for_all_who_ask() {
        let call = Call::begin(&HeaderMap::new());
        call.set_caller(Caller::read(Some("portal/1")));
        assert_eq!(call.get::<u32>(), None);

        call.provide(7_u32);
        call.provide(8_u32);
        call.provide(Caller::read(Some("tests/2")));

        assert_eq!(call.get::<u32>(), Some(&8));
        assert_eq!(call.caller(), "tests/2");
    }
}
