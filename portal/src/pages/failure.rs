//! The page that tells why another page cannot be shown.

use askama::Template;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use mesh::Channel;
use proto::logs::{Filter, QueryRequest};

use crate::{
    backends::logs::QUERY,
    door::Denial,
    error::Failure,
    frame::{Frame, Nav},
    grpcurl::Command,
    pages::{self, RETRY_SECONDS},
    visit::Visit,
};

#[derive(Template)]
#[template(path = "failure.html")]
struct Page {
    frame: Frame,
    status: StatusCode,
    headline: String,
    text: String,
    /// Whether logging in would help.
    wants_login: bool,
    /// Whether the page asks again by itself.
    retries: bool,
}

/// Makes a page of a failure; headers that came with it, such as `allow`, stay.
pub(crate) fn page(visit: &Visit, (method, logs): (&Method, &Channel), failure: &Failure, bare: Response) -> Response {
    let headline = failure.headline();
    let retries = failure.passes() && method.is_safe();
    let page = Page {
        frame: Frame::new(visit, Nav::Elsewhere, headline.clone())
            .with_command(visit.visitor.as_ref().and_then(|_| records(logs, &visit.request_id))),
        status: failure.status(),
        headline,
        text: failure.text(),
        wants_login: matches!(failure, Failure::Denied(Denial::Login)),
        retries,
    };
    let mut response = pages::page(failure.status(), &page);
    for name in [header::ALLOW, header::CONNECTION, header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = bare.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if retries {
        response.headers_mut().insert(header::REFRESH, HeaderValue::from(u16::from(RETRY_SECONDS)));
    }
    response
}

/// How to ask for all that was logged during the request.
fn records(logs: &Channel, request_id: &str) -> Option<Command> {
    let filter = Some(Filter { request_id: request_id.to_owned(), ..Filter::default() });
    Some(Command::new(&logs.address()?, QUERY, &QueryRequest { filter, ..QueryRequest::default() }).by(logs))
}
