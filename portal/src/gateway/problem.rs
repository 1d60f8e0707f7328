//! What goes wrong, as RFC 9457 writes it, with gRPC's code, reason and field violations inside.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use mesh::{Call, Refusal};
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    error::{Failure, sentence},
    gateway::fields::Violation,
    pages::RETRY_SECONDS,
};

/// What such answers are called.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What is to be sent where nobody is known.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"rundoo\"");

/// The gateway's own reasons, and what they mean.
pub(crate) const OWN_REASONS: [(&str, &str); 21] = [
    ("INVALID_REQUEST", "The request does not fit the contract of the method; `violations` names what does not."),
    ("NO_SUCH_METHOD", "No method of any service is at this path."),
    ("METHOD_NOT_ALLOWED", "The path is one, but with other verbs: `Allow` names them."),
    ("UNSUPPORTED_MEDIA_TYPE", "The body is not sent as `application/json`."),
    ("BODY_TOO_LARGE", "The body has more than 1 MiB."),
    ("BODY_TOO_SLOW", "The body took too long to arrive."),
    ("BODIES_BUSY", "So many large bodies arrive at once that there is no room for one more."),
    ("PRECONDITION_FAILED", "`If-Match` has a weak tag, which never matches."),
    ("CONTENT_ENCODED", "The body is compressed: send it as it is."),
    ("LOGIN_NEEDED", "Nobody is logged in, and no token came: send `Authorization: Bearer` with one."),
    ("ROLE_TOO_LOW", "The account's role is not enough; the detail names the one that is needed."),
    ("SCOPE_TOO_SMALL", "The token's scopes are not for this."),
    ("NO_TOKENS_HERE", "This is for people who are logged in."),
    ("UNKNOWN_TOKEN", "Nobody has this token."),
    ("EXPIRED_TOKEN", "The token's days are over."),
    ("REVOKED_TOKEN", "The token was revoked."),
    ("ACCESS_ENDED", "The session or token stopped counting while the request went on; what was done by then is done."),
    ("TOO_MANY_REQUESTS", "More requests than one client may send: `Retry-After` says when to come again."),
    ("LOGIN_BUSY", "More passwords are being checked than the portal does at once."),
    ("ACCOUNTS_AWAY", "The portal cannot read its accounts."),
    ("NO_SUCH_ACCOUNT", "There is no such account."),
];

/// What went wrong. Boxed, since most requests go well.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Words>);

/// A problem, as a client reads it.
#[derive(Debug, Clone, Serialize)]
struct Words {
    /// Leads to what is written of the reason.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    /// The page with the log of this very request.
    instance: String,
    /// gRPC's.
    code: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    domain: String,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    metadata: std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Said>,
    request_id: String,
    /// Seconds after which asking again may go better.
    #[serde(skip)]
    retry_after: Option<u64>,
    /// What else a client may ask of the same path.
    #[serde(skip)]
    allow: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Said {
    field: String,
    description: String,
}

impl Problem {
    /// A problem that the gateway itself has with a request.
    pub(crate) fn new(status: StatusCode, code: Code, reason: &str, detail: impl Into<String>) -> Problem {
        let request_id = Call::current().map(|call| call.request_id().to_owned()).unwrap_or_default();
        let kind = if reason.is_empty() { "about:blank".into() } else { format!("/docs/problems#{reason}") };
        Problem(Box::new(Words {
            kind,
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: format!("/logs/requests/{request_id}"),
            code: name(code),
            reason: reason.to_owned(),
            domain: if reason.is_empty() { String::new() } else { "gateway.rundoo".into() },
            metadata: Default::default(),
            violations: Vec::new(),
            request_id,
            retry_after: None,
            allow: None,
        }))
    }

    /// A request that does not fit its contract.
    pub(crate) fn invalid(detail: impl Into<String>, violations: Vec<Violation>) -> Problem {
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, "INVALID_REQUEST", detail);
        problem.0.violations = violations.into_iter().map(said).collect();
        problem
    }

    /// The same, which may go better in so many seconds.
    pub(crate) fn with_retry(mut self, seconds: u64) -> Problem {
        self.0.retry_after = Some(seconds);
        self
    }

    /// What a service refused. `conditional` says that the request was to hold for one version only.
    pub(crate) fn of(status: &Status, conditional: bool) -> Problem {
        let mut problem =
            Problem::new(http_status(status.code(), conditional), status.code(), "", sentence(status.message()));
        let details = status.get_error_details();
        if let Some(info) = details.error_info() {
            problem.0.kind = format!("/docs/problems#{}", info.reason);
            problem.0.reason.clone_from(&info.reason);
            problem.0.domain.clone_from(&info.domain);
            problem.0.metadata = info.metadata.clone().into_iter().collect();
        }
        problem.0.violations =
            Refusal::fields(status).into_iter().map(|(field, description)| Said { field, description }).collect();
        // A tag that the service never gave is not that of the present version.
        if conditional && problem.0.violations.iter().any(|said| said.field == "etag") {
            let status = StatusCode::PRECONDITION_FAILED;
            problem.0.status = status.as_u16();
            status.canonical_reason().unwrap_or_default().clone_into(&mut problem.0.title);
        }
        let waits = matches!(status.code(), Code::ResourceExhausted | Code::Unavailable);
        let asked = Refusal::retry_delay(status).map(|wait| wait.as_secs().max(1));
        problem.0.retry_after = asked.or(waits.then_some(u64::from(RETRY_SECONDS)));
        problem
    }

    /// What a page would say of it, for a program.
    pub(crate) fn of_failure(failure: &Failure) -> Problem {
        let status = failure.status();
        let code = match status {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
            StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
            status if status.is_client_error() => Code::InvalidArgument,
            _ => Code::Internal,
        };
        let reason = match failure {
            Failure::Denied(denial) => denial.reason(),
            Failure::Encoded => "CONTENT_ENCODED",
            _ => "",
        };
        let mut problem = Problem::new(status, code, reason, format!("{}. {}", failure.headline(), failure.text()));
        problem.0.retry_after = failure.passes().then_some(u64::from(RETRY_SECONDS));
        problem
    }

    /// A path that has other verbs.
    pub(crate) fn verbs(allowed: &[http::Method]) -> Problem {
        let names: Vec<&str> = allowed.iter().map(http::Method::as_str).collect();
        let names = names.join(", ");
        let detail = format!("This path answers to {names} only.");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut problem = Problem::new(status, Code::Unimplemented, "METHOD_NOT_ALLOWED", detail);
        problem.0.allow = Some(names);
        problem
    }

    /// The answer in place of another, whose headers stay.
    pub(crate) fn answer(self, instead: Response) -> Response {
        let mut response = self.into_response();
        for (name, value) in instead.headers() {
            if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// gRPC's code, as its documents spell it.
    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    /// What it says, on one line.
    pub(crate) fn line(&self) -> String {
        format!("{} {}: {}", self.0.code, self.0.reason, self.0.detail)
    }

    /// As the last line of a stream.
    pub(crate) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_default()
    }
}

fn said(violation: Violation) -> Said {
    Said { field: violation.field, description: sentence(&violation.description) }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.json()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.0.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110, 15.5.2; what a door says of a token takes its place.
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        response.extensions_mut().insert(Told(format!("{} {}: {}", self.0.code, self.0.reason, self.0.detail)));
        response
    }
}

/// What an answer tells the client, for the log.
#[derive(Debug, Clone)]
pub(crate) struct Told(pub(crate) String);

/// What gRPC's codes are in HTTP.
fn http_status(code: Code, conditional: bool) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Aborted if conditional => StatusCode::PRECONDITION_FAILED,
        Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // nginx's, for a client that is gone: nobody reads it.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// gRPC's codes as its documents spell them.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_say_who_it_is_is_told_how() {
        let answer = |status: Status| Problem::of(&status, false).into_response();
        let unknown = answer(Status::unauthenticated("who are you?"));
        assert_eq!((unknown.status().as_u16(), &unknown.headers()[header::WWW_AUTHENTICATE]), (401, &CHALLENGE));
        assert!(!answer(Status::permission_denied("no")).headers().contains_key(header::WWW_AUTHENTICATE));

        let more = HeaderValue::from_static("Bearer realm=\"rundoo\", error=\"invalid_token\"");
        let mut instead = Response::new(Body::empty());
        instead.headers_mut().insert(header::WWW_AUTHENTICATE, more.clone());
        let told = Problem::of(&Status::unauthenticated("no"), false).answer(instead);
        assert_eq!(told.headers()[header::WWW_AUTHENTICATE], more);
    }
}
