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
pub(crate) mod places;
pub(crate) mod route;

mod bodies;
mod call;
mod headers;
mod named;
mod query;
mod request;
mod said;
mod values;

mod json;
pub(crate) mod lines;
pub(crate) mod problem;

pub(crate) mod comments;
pub(crate) mod example;
pub(crate) mod openapi;

mod version;

#[cfg(test)]
mod written;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, StatusCode, header, request::Parts};
use mesh::Call;
use tokio_util::sync::CancellationToken;
use tonic::Code;

pub(crate) use contracts::{Contracts, is_versioned};
pub(crate) use follow::Follower;
pub(crate) use lines::Ending;
pub(crate) use problem::Problem;

use crate::{
    backends::Backends,
    csrf,
    door::{Visitor, audit::Begun},
    error::Failure,
    gateway::{
        bodies::{Arrived, Bodies},
        contracts::Found,
        request::Asked,
        route::Route,
    },
};

/// How long a client waits, in seconds: `Request-Timeout: 2.5`.
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");

/// The longest time that it can ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// Which service is asked, where several offer a method, as all do with `MeshService`.
const SERVICE: HeaderName = HeaderName::from_static("rundoo-service");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the gateway works with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) contracts: Contracts,
    bodies: Bodies,
}

impl Gateway {
    /// Knows the contracts that the portal was built with, until the services speak for themselves: while
    /// one is away, its methods are there and say so.
    pub(crate) fn new(backends: &Backends) -> Gateway {
        Gateway { contracts: Contracts::built_in(backends), bodies: Bodies::none() }
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
        let route = self.route(parts)?;
        let visitor = parts.extensions.get::<Visitor>().ok_or_else(|| Problem::of_failure(&Failure::NoSuchPage))?;
        let (area, role) = route.need();
        visitor.demand_in(area, role).map_err(|failure| Problem::of_failure(&failure))?;
        if !route.is_read() && !csrf::is_own(&Verb::POST, &parts.headers) {
            return Err(Problem::of_failure(&Failure::Foreign));
        }
        let call = call(&route, &parts.headers)?;
        let Arrived { bytes, room: _until_it_is_answered } = self.bodies.read(&route.binding.body, body).await?;
        let turn = self.bodies.turn(&bytes).await;
        let Asked { request, is_trial } = request::read(&route, parts, &bytes)?;
        drop((turn, bytes));
        let called = Called::of(&route, is_trial);
        parts.extensions.get::<Begun>().into_iter().for_each(|begun| begun.called(&called));
        let conditional = parts.headers.contains_key(header::IF_MATCH);
        if route.method.is_server_streaming() {
            let opened = call.clone().scope(call::stream(&route, request)).await;
            let answers = opened.map_err(|status| Problem::of(&status, conditional))?;
            let ending = Ending::default();
            let called = Called { ending: Some(ending.clone()), ..called };
            let mut response = lines::answer(route, answers, call, (stop, ending));
            response.extensions_mut().insert(called);
            return Ok(response);
        }
        let answer = call.scope(call::once(&route, request)).await;
        let answer = answer.map_err(|status| Problem::of(&status, conditional))?;
        let mut response = once(&route, &parts.headers, &answer)?;
        response.extensions_mut().insert(Called { id: version::id(&route.headers.version, &answer), ..called });
        Ok(response)
    }

    /// Who answers a request.
    fn route(&self, parts: &Parts) -> Result<Arc<Route>, Problem> {
        let asked = parts.headers.get(&SERVICE).map(|name| name.to_str().unwrap_or("?"));
        match self.contracts.known().find(&parts.method, parts.uri.path(), asked) {
            Found::Route(route) => Ok(route),
            Found::Others(names) => {
                Err(Problem::invalid(format!("{SERVICE} may be one of: {}.", names.join(", ")), Vec::new()))
            }
            Found::Verbs(verbs) => Err(Problem::verbs(&verbs)),
            Found::Nothing => {
                let words = "No method of any service is at this path. /docs lists those that are.";
                Err(Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "NO_SUCH_METHOD", words))
            }
        }
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

impl Called {
    fn of(route: &Route, is_trial: bool) -> Called {
        let method = format!("{}/{}", route.method.parent_service().name(), route.method.name());
        Called { method, changes: !route.is_read() && !is_trial, id: None, ending: None }
    }
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
        route.write(answer, &mut json)?;
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
