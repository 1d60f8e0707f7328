//! Explains what is refused before a handler sees it: unknown methods, unreadable messages.
//!
//! The transport answers these with a bare status; here they get a reason, and the
//! code that says whose fault it is.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use proto::mesh::ErrorReason;
use tonic::{Code, Status};

use crate::refusal::Refusal;

/// How the transport begins to say that it could not read a message.
const UNREADABLE: [&str; 4] =
    ["failed to decode Protobuf message", "protocol error", "Missing request message", "Unexpected EOF"];

pub(super) async fn explain(request: Request, next: Next) -> Response {
    let method = request.uri().path().to_owned();
    let response = next.run(request).await;
    match Status::from_header_map(response.headers()) {
        Some(status) if status.details().is_empty() => match explained(&method, &status) {
            Some(explained) => explained.into_http(),
            None => response,
        },
        _ => response,
    }
}

/// The same refusal with a reason; none when it is the handler's own.
fn explained(method: &str, status: &Status) -> Option<Status> {
    let is_unreadable = UNREADABLE.iter().any(|words| status.message().starts_with(words));
    let (code, reason, message) = match status.code() {
        Code::Unimplemented => {
            (Code::Unimplemented, ErrorReason::UnknownMethod, format!("there is no method {method} here"))
        }
        Code::OutOfRange if status.message().contains("message length too large") => {
            (Code::OutOfRange, ErrorReason::MessageTooLarge, status.message().to_owned())
        }
        Code::Internal if is_unreadable => {
            let message = format!("the request could not be read: {}", status.message());
            (Code::InvalidArgument, ErrorReason::UnreadableMessage, message)
        }
        _ => return None,
    };
    Some(Refusal::new(code, proto::mesh::DOMAIN, reason.as_str_name(), message).into_status())
}
