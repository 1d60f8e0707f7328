//! What every request gets, whichever page it asks for.
//!
//! A request id that travels on to the gRPC services, a deadline for what is asked
//! of them, a log line, the headers that forbid scripts and foreign content, and a
//! page for whatever failed. It is the outermost layer.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRequestParts, Request},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use mesh::{Call, Channel, Pages};
use tracing::{debug, error, info, warn};

use crate::{
    cookie::Cookie,
    door::{Client, Door, Visitor},
    error::Failure,
    gateway::{self, Problem, problem::Told},
    list::Wanted,
    pages,
    time::Zone,
};

/// How long a page waits for the services behind it, all calls together.
const BACKEND_DEADLINE: Duration = Duration::from_secs(10);

/// Letters of a path that are told; a head may have as many as fit into it.
const PATH: usize = 200;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What mesh calls carry between services and a browser has no say in.
const INTERNAL: [HeaderName; 3] = [
    HeaderName::from_static("x-rundoo-caller"),
    HeaderName::from_static("x-rundoo-actor"),
    HeaderName::from_static("grpc-timeout"),
];

/// Nothing but our own stylesheet and pictures; no script from anywhere, no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const GUARDS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// One request, as a page may name it.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// What people quote when they ask about a failure.
    pub(crate) request_id: String,
    /// In which zone the visitor reads times.
    pub(crate) zone: Zone,
    /// Who asks; nobody while nobody has logged in who must.
    pub(crate) visitor: Option<Visitor>,
}

impl Visit {
    fn read(headers: &HeaderMap, visitor: Option<Visitor>) -> Visit {
        let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let zone = Cookie::Zone.read(headers).and_then(Zone::named);
        Visit { request_id: request_id.unwrap_or_default().to_owned(), zone: zone.unwrap_or(Zone::UTC), visitor }
    }
}

#[cfg(test)]
impl Visit {
    /// A visit of somebody who reads times in UTC.
    pub(crate) fn test(request_id: &str) -> Visit {
        Visit { request_id: request_id.to_owned(), zone: Zone::UTC, visitor: Some(Visitor::open()) }
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visit, Infallible> {
        Ok(Visit::read(&parts.headers, parts.extensions.get().cloned()))
    }
}

/// Receives a request and sees its answer off.
pub(crate) async fn receive(
    (traces, logs, door): (Pages, Channel, Door),
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    for name in &INTERNAL {
        request.headers_mut().remove(name);
    }
    let call = Call::begin(request.headers()).within(BACKEND_DEADLINE);
    let id = HeaderValue::from_str(call.request_id()).expect("a call's request id is plain ASCII");
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let client = door.client(&request);
    request.extensions_mut().insert(client);
    let mut visit = Visit::read(request.headers(), door.usual_visitor());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let wanted = if gateway::is_versioned(&path) { Wanted::Json } else { Wanted::of(&path, request.headers()) };
    let path = shortened(path);

    call.clone()
        .scope(async {
            let mut response = answer(request, next).await;
            let mut failure = response.extensions_mut().remove::<Failure>();
            // What is refused outside of the door costs as much as what is refused there.
            if failure.as_ref().is_some_and(Failure::is_outside)
                && let Err(denial) = door.take_from(&client)
            {
                response = Failure::Denied(denial).into_response();
                failure = response.extensions_mut().remove();
            }
            visit.visitor = response.extensions_mut().remove::<Visitor>().or(visit.visitor);
            if let Some(failure) = &failure {
                response = if wanted != Wanted::Page {
                    Problem::of_failure(failure).answer(response)
                } else {
                    pages::failure::page(&visit, (&method, &logs), failure, response)
                };
            }
            let told = response.extensions_mut().remove::<Told>();
            response.headers_mut().insert(REQUEST_ID, id);
            guard(&mut response, &client);
            let is_flood = failure.as_ref().is_some_and(Failure::is_flood);
            // Whom nobody knows may come as often as whoever guesses.
            let is_stranger = failure.is_some() && door.is_guarded() && visit.visitor.is_none();
            let cause = failure.map(|failure| failure.to_string()).or(told.map(|Told(words)| words));
            let has_failed = cause.is_some();
            let why = cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
            let (status, millis) = (response.status().as_u16(), started.elapsed().as_millis());
            traces.answered(&format!("{method} {path}"), &call, started.elapsed(), status);
            if is_flood {
                let name = visit.visitor.as_ref().and_then(Visitor::name);
                door.refused().say(name, &client, &cause.unwrap_or_default());
            } else if response.status().is_server_error() {
                warn!(http.status = status, "{method} {path} answered {status} in {millis} ms{why}");
            } else if is_stranger {
                door.strangers().warn(|more| {
                    info!(http.status = status, "{method} {path} answered {status} in {millis} ms{why}{more}");
                });
            } else if has_failed {
                // Whoever quotes its request id should find it.
                info!(http.status = status, "{method} {path} answered {status} in {millis} ms{why}");
            } else {
                debug!(http.status = status, "{method} {path} answered {status} in {millis} ms");
            }
            response
        })
        .await
}

/// As much of a path as is told.
fn shortened(mut path: String) -> String {
    if let Some((end, _)) = path.char_indices().nth(PATH) {
        path.truncate(end);
    }
    path
}

async fn answer(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            error!("a page panicked");
            Failure::Internal("a page panicked".into()).into_response()
        }
    }
}

/// Sets the headers of every answer; a handler's own caching stays.
fn guard(response: &mut Response, client: &Client) {
    let headers = response.headers_mut();
    if client.is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages, lists and problems are what a request says that it takes.
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
