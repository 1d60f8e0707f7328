//! The gateway: every annotated method of the mesh as JSON over HTTP.
//!
//! What there is to be called is read from what the services reflect, so that a new
//! service is here without a line of ours. In reading order: what an annotation says,
//! who offers what, how a request becomes a message, and how the answer becomes JSON.

mod fields;
mod rule;
mod template;

pub(crate) mod contracts;
pub(crate) mod descriptors;
mod follow;
mod reflection;
pub(crate) mod route;

mod call;
mod duplicates;
mod request;

mod json;
pub(crate) mod problem;

pub(crate) mod comments;
pub(crate) mod example;
pub(crate) mod openapi;

mod version;

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, StatusCode, header, request::Parts};
use mesh::Call;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

pub(crate) use contracts::{Contracts, is_versioned};
pub(crate) use follow::Follower;
pub(crate) use problem::Problem;

use crate::{
    backends::Backends,
    csrf,
    door::Visitor,
    error::Failure,
    gateway::{
        contracts::Found,
        request::Asked,
        route::{Owner, Route},
    },
    live::Live,
    upload,
};

/// The largest body of a request.
const MOST_BYTES: usize = 1024 * 1024;

/// Bodies above this are read one at a time: a message is many times what its text is.
const SMALL: usize = 64 * 1024;

/// How long a client waits, in seconds: `Request-Timeout: 2.5`.
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");

/// The longest time that it can ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// Which service is asked, where several offer a method, as all do with `MeshService`.
const SERVICE: HeaderName = HeaderName::from_static("rundoo-service");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// What the gateway works with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) contracts: Contracts,
    large: Arc<Semaphore>,
}

impl Gateway {
    /// Knows the contracts that the portal was built with, until the services speak for themselves: while
    /// one is away, its methods are there and say so.
    pub(crate) fn new(backends: &Backends) -> Gateway {
        Gateway { contracts: Contracts::built_in(backends), large: Arc::new(Semaphore::new(1)) }
    }
}

/// Answers what is for the gateway, and hands on what is not.
pub(crate) async fn serve(
    State((gateway, stop)): State<(Gateway, CancellationToken)>,
    request: Request,
    next: Next,
) -> Response {
    if !is_versioned(request.uri().path()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match gateway.answer(&parts, body, stop).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

impl Gateway {
    async fn answer(&self, parts: &Parts, body: Body, stop: CancellationToken) -> Result<Response, Problem> {
        let route = match self.contracts.known().find(&parts.method, parts.uri.path()) {
            Found::Route(route) => route,
            Found::Verbs(verbs) => return Err(Problem::verbs(&verbs)),
            Found::Nothing => {
                let words = "No method of any service is at this path. /docs lists those that are.";
                return Err(Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "NO_SUCH_METHOD", words));
            }
        };
        let visitor = parts.extensions.get::<Visitor>().ok_or_else(|| Problem::of_failure(&Failure::NoSuchPage))?;
        let (area, role) = route.need();
        visitor.demand_in(area, role).map_err(|failure| Problem::of_failure(&failure))?;
        if !route.is_read() && !csrf::is_own(&Verb::POST, &parts.headers) {
            return Err(Problem::of_failure(&Failure::Foreign));
        }
        let owner = owner(&route, &parts.headers)?.clone();
        let call = call(&route, &parts.headers)?;
        let body = read(body).await?;
        let one_at_a_time = if body.len() > SMALL { Some(self.large.acquire().await) } else { None };
        let Asked { request, is_trial } = request::read(&route, parts, &body)?;
        drop((one_at_a_time, body));
        let conditional = parts.headers.contains_key(header::IF_MATCH);
        if route.method.is_server_streaming() {
            let opened = call.clone().scope(call::stream(&route, &owner, request)).await;
            let answers = opened.map_err(|status| Problem::of(&status, conditional))?;
            let ending = Ending::default();
            let called = Called { ending: Some(ending.clone()), ..Called::of(&route, is_trial, None) };
            let mut response = lines(route, answers, call, (stop, ending));
            response.extensions_mut().insert(called);
            return Ok(response);
        }
        let answer = call.scope(call::once(&route, &owner, request)).await;
        let answer = answer.map_err(|status| Problem::of(&status, conditional))?;
        let mut response = once(&route, &parts.headers, &answer)?;
        response.extensions_mut().insert(Called::of(&route, is_trial, version::id(&route.headers.version, &answer)));
        Ok(response)
    }
}

/// What was called, for whoever keeps account of changes.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    /// The service and the method, without the package.
    pub(crate) method: String,
    pub(crate) changes: bool,
    /// The number of what the answer is about.
    pub(crate) id: Option<i64>,
    /// How an answer that goes on ends.
    pub(crate) ending: Option<Ending>,
}

/// With which code a stream ended, once it has. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<OnceLock<Code>>);

impl Ending {
    /// Nothing while it goes on, and when nobody waited for it.
    pub(crate) fn get(&self) -> Option<Code> {
        self.0.get().copied()
    }

    fn set(&self, code: Code) {
        let _first_counts = self.0.set(code);
    }
}

impl Called {
    fn of(route: &Route, is_trial: bool, id: Option<i64>) -> Called {
        let method = format!("{}/{}", route.method.parent_service().name(), route.method.name());
        Called { method, changes: !route.is_read() && !is_trial, id, ending: None }
    }
}

/// Who is asked.
fn owner<'r>(route: &'r Route, headers: &HeaderMap) -> Result<&'r Owner, Problem> {
    let asked = headers.get(&SERVICE).map(|name| name.to_str().unwrap_or("?"));
    route.owner(asked).ok_or_else(|| {
        let names: Vec<&str> = route.owners.iter().map(|owner| owner.service.as_str()).collect();
        Problem::invalid(format!("{SERVICE} may be one of: {}.", names.join(", ")), Vec::new())
    })
}

/// The call of this request with the time that its client gives it. A stream goes on until somebody ends it.
fn call(route: &Route, headers: &HeaderMap) -> Result<Call, Problem> {
    let call = Call::current().unwrap_or_else(|| Call::begin(headers));
    match headers.get(&REQUEST_TIMEOUT) {
        None if route.method.is_server_streaming() => Ok(call.endless()),
        None => Ok(call),
        Some(text) => {
            let seconds = text.to_str().ok().and_then(|text| text.parse().ok());
            let limit = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
            let limit = limit.filter(|limit| !limit.is_zero() && *limit <= LONGEST);
            let limit = limit.ok_or_else(|| {
                let longest = LONGEST.as_secs();
                Problem::invalid(
                    format!("{REQUEST_TIMEOUT} is a number of seconds above 0, {longest} at most."),
                    vec![],
                )
            })?;
            Ok(call.bounded(limit))
        }
    }
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    upload::read(body, MOST_BYTES).await.map_err(|failure| match failure {
        Failure::TooLarge => {
            let words = format!("A body may have {} MiB.", MOST_BYTES >> 20);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument, "BODY_TOO_LARGE", words)
        }
        Failure::TooSlow => {
            let words = "The body took too long to arrive.";
            Problem::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, "BODY_TOO_SLOW", words)
        }
        failure => Problem::of_failure(&failure),
    })
}

/// One answer.
fn once(route: &Route, headers: &HeaderMap, answer: &[u8]) -> Result<Response, Problem> {
    // What is no quoted text is no entity tag (AIP-154), and has no header.
    let tag = version::of(&route.headers.version, answer).filter(|tag| tag.len() > 2 && tag.starts_with('"'));
    let tag = tag.and_then(|tag| HeaderValue::try_from(tag).ok());
    let known = |tag: &HeaderValue| {
        let kept = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|kept| kept.to_str().ok());
        kept.flat_map(|kept| kept.split(',')).any(|kept| {
            let kept = kept.trim();
            kept == "*" || kept.trim_start_matches("W/").as_bytes() == tag.as_bytes()
        })
    };
    let is_kept = route.binding.verb == Verb::GET && tag.as_ref().is_some_and(known);
    let mut response = if is_kept {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut json = Vec::with_capacity(answer.len() * 2 + 16);
        write(route, answer, &mut json)?;
        let mut response = Response::new(Body::from(json));
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    };
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    Ok(response)
}

/// Writes an answer, or the part of it that the annotation names.
fn write(route: &Route, answer: &[u8], json: &mut Vec<u8>) -> Result<(), Problem> {
    let sent = route.binding.answer.as_ref().map_or(answer, |field| version::message(field, answer));
    route.tables.write(sent, json).map_err(|cause| {
        tracing::error!("{cause}");
        Problem::of(&Status::internal("the service's answer could not be read"), false)
    })
}

/// Answers as they come, each on a line: `{"result":…}`, and in the end `{"error":…}` if it is one.
fn lines(
    route: Arc<Route>,
    answers: Streaming<Bytes>,
    call: Call,
    (stop, ending): (CancellationToken, Ending),
) -> Response {
    let answers = answers.take_until(stop.clone().cancelled_owned()).map(Some).chain(stream::once(async move {
        let stopping = Status::unavailable("the portal stops; begin again where you were");
        stop.is_cancelled().then_some(Err(stopping))
    }));
    let failed = ending.clone();
    let lines = ended_by_errors(answers.filter_map(async |answer| answer)).map(move |answer| {
        answer.as_ref().err().into_iter().for_each(|status| failed.set(status.code()));
        call.sync_scope(|| line(&route, answer))
    });
    let end = stream::once(async move { ending.set(Code::Ok) }).filter_map(async |()| None);
    let body = Body::from_stream(lines.chain(end).map(|line| Ok::<_, Infallible>(Bytes::from(line))));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, LINES);
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.extensions_mut().insert(Live);
    response
}

/// Behind an error nothing comes.
fn ended_by_errors(answers: impl Stream<Item = Result<Bytes, Status>>) -> impl Stream<Item = Result<Bytes, Status>> {
    answers.scan(false, |over, answer| {
        let goes_on = !std::mem::replace(over, answer.is_err());
        std::future::ready(goes_on.then_some(answer))
    })
}

fn line(route: &Route, answer: Result<Bytes, Status>) -> Vec<u8> {
    let mut line = b"{\"result\":".to_vec();
    let written = answer.map_err(|status| Problem::of(&status, false));
    let written = written.and_then(|answer| write(route, &answer, &mut line));
    if let Err(problem) = written {
        tracing::info!("a stream of {} ended: {}", route.method.full_name(), problem.line());
        line = b"{\"error\":".to_vec();
        line.extend(problem.json());
    }
    line.extend(b"}\n");
    line
}
