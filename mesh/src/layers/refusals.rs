//! Explains what is refused before a handler sees it: unknown methods, unreadable messages.
//!
//! The transport answers these with a bare status; here they get a reason, and the
//! code that says whose fault it is, also in the middle of a stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use proto::mesh::{ErrorReason, MethodKind};
use tonic::body::Body;
use tonic::{Code, Status};

use super::stage::{Escort, Head, Stage, trailers};
use crate::refusal::{Refusal, code_in};
use crate::stats::Stats;

/// How the transport begins to say that it could not read a message.
const UNREADABLE: [&str; 4] =
    ["failed to decode Protobuf message", "protocol error", "Missing request message", "Unexpected EOF"];

/// Explains refusals.
#[derive(Debug)]
pub struct Refusals {
    pub(super) stats: Arc<Stats>,
}

/// Explains those of one call.
#[derive(Debug)]
pub struct Explaining {
    path: http::Uri,
    /// Whether there is no such method: what a handler has not implemented is its own to say.
    is_unknown: bool,
}

impl Stage for Refusals {
    const NAME: &'static str = "refusals";
    type Value = ();
    type Escort = Explaining;

    fn arrive(&self, request: &mut Request<Body>) -> Result<Explaining, Status> {
        // A URI shares its text, so this copies nothing.
        let is_unknown = self.stats.kind(request.uri().path()) == MethodKind::Unspecified;
        Ok(Explaining { path: request.uri().clone(), is_unknown })
    }
}

impl Explaining {
    /// The refusal in these headers with a reason; none when there is none, or it is the handler's own.
    fn explained(&self, headers: &http::HeaderMap) -> Option<Status> {
        // Nearly every call ends here.
        if code_in(headers)? == Code::Ok || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
            return None;
        }
        let status = Status::from_header_map(headers)?;
        explained(self.path.path(), &status).filter(|_| self.is_unknown || status.code() != Code::Unimplemented)
    }
}

impl Escort for Explaining {
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        work.poll(cx).map(|Ok(response)| match self.explained(response.headers()) {
            Some(status) => Head::Ours(status),
            None => Head::Theirs(response),
        })
    }

    fn poll_frame<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>>
    where
        B: http_body::Body<Data = Bytes, Error = Status>,
    {
        body.poll_frame(cx).map(|frame| {
            let explained = match &frame {
                Some(Ok(frame)) => frame.trailers_ref().and_then(|headers| self.explained(headers)),
                _ => None,
            };
            explained.map(|status| Ok(trailers(&status))).or(frame)
        })
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
