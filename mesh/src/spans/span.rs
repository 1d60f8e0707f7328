//! A span as the mesh tells it, and as OpenTelemetry wants it.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tonic::Code;

use crate::call::{Call, Trace};
use crate::series::Series;

/// One span that ended.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// The method, as `package.Service/Method`: a path without its first slash.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent_span_id: Option<u64>,
    pub(crate) trace_state: Option<String>,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) code: Code,
    /// Who is at the other end, as service/instance.
    pub(crate) peer: String,
    pub(crate) request_id: String,
}

/// Whose view of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of the one who answers.
    Server,
    /// Of the one who calls.
    Client,
    /// Of the one who answers over HTTP, with this status.
    Page(u16),
}

impl Span {
    /// A call that has just ended, at a place in its trace.
    pub(crate) fn ended(
        kind: Kind,
        (series, peer): (&Series, &str),
        (call, trace): (&Call, &Trace),
        (took, code): (Duration, Code),
    ) -> Self {
        let ended = SystemTime::now();
        Self {
            name: series.method().to_owned(),
            kind,
            trace_id: trace.trace_id(),
            span_id: trace.span_id(),
            parent_span_id: trace.parent_span_id(),
            trace_state: trace.state().map(str::to_owned),
            began: ended.checked_sub(took).unwrap_or(ended),
            ended,
            code,
            peer: peer.to_owned(),
            request_id: call.request_id().to_owned(),
        }
    }

    /// A page that was just answered. What was asked for is a method of HTTP and a path, as in `GET /`.
    pub(crate) fn page(asked: &str, call: &Call, took: Duration, status: u16) -> Self {
        let (trace, ended) = (call.trace(), SystemTime::now());
        Self {
            name: asked.to_owned(),
            kind: Kind::Page(status),
            trace_id: trace.trace_id(),
            span_id: trace.span_id(),
            parent_span_id: trace.parent_span_id(),
            trace_state: trace.state().map(str::to_owned),
            began: ended.checked_sub(took).unwrap_or(ended),
            ended,
            code: Code::Ok,
            peer: String::new(),
            request_id: call.request_id().to_owned(),
        }
    }

    /// What the conventions of OpenTelemetry want to know of a call, or of a page.
    fn attributes(&self) -> Vec<KeyValue> {
        if let Kind::Page(status) = self.kind {
            let (method, path) = self.name.split_once(' ').unwrap_or(("", &self.name));
            return vec![
                KeyValue::new("http.request.method", method.to_owned()),
                KeyValue::new("url.path", path.to_owned()),
                KeyValue::new("http.response.status_code", i64::from(status)),
            ];
        }
        let (service, method) = self.name.split_once('/').unwrap_or(("", &self.name));
        vec![
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service.to_owned()),
            KeyValue::new("rpc.method", method.to_owned()),
            KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(self.code))),
            KeyValue::new("rundoo.peer", self.peer.clone()),
        ]
    }

    /// The span in OpenTelemetry's terms.
    pub(super) fn into_data(self, scope: &InstrumentationScope) -> SpanData {
        let trace_state = self.trace_state.as_deref().and_then(|state| state.parse::<TraceState>().ok());
        let mut attributes = self.attributes();
        attributes.push(KeyValue::new("rundoo.request_id", self.request_id));
        SpanData {
            span_context: SpanContext::new(
                TraceId::from(self.trace_id),
                SpanId::from(self.span_id),
                TraceFlags::SAMPLED,
                false,
                trace_state.unwrap_or_default(),
            ),
            parent_span_id: self.parent_span_id.map_or(SpanId::INVALID, SpanId::from),
            // The parent of a server's span is its caller's; that of a client's is in this process.
            parent_span_is_remote: self.kind != Kind::Client && self.parent_span_id.is_some(),
            span_kind: self.kind.into(),
            status: status(self.kind, self.code),
            name: self.name.into(),
            start_time: self.began,
            end_time: self.ended,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            instrumentation_scope: scope.clone(),
        }
    }
}

impl From<Kind> for SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Server => Self::Server,
            Kind::Client => Self::Client,
            Kind::Page(_) => Self::Server,
        }
    }
}

/// To a caller everything but OK is an error; a server that refuses has done its work.
fn status(kind: Kind, code: Code) -> Status {
    let is_error = match kind {
        Kind::Client => code != Code::Ok,
        Kind::Page(status) => status >= 500,
        Kind::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    };
    if is_error { Status::error(code.description()) } else { Status::Unset }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_error(kind: Kind, code: Code) -> bool {
        matches!(status(kind, code), Status::Error { .. })
    }

    #[test]
    fn a_server_errs_only_when_it_is_its_fault() {
        let faults: Vec<i32> = (0..=16).filter(|code| is_error(Kind::Server, Code::from(*code))).collect();

        assert_eq!(faults, [2, 4, 12, 13, 14, 15]);
    }

    #[test]
    fn to_a_client_everything_but_ok_is_an_error() {
        assert!((1..=16).all(|code| is_error(Kind::Client, Code::from(code))));
        assert!(!is_error(Kind::Client, Code::Ok));
    }

    #[test]
    fn a_page_is_told_in_the_words_of_http() {
        let call = Call::begin(&http::HeaderMap::new());
        let span = Span::page("GET /products/7", &call, Duration::from_millis(3), 503);

        let data = span.into_data(&InstrumentationScope::default());

        assert!(data.attributes.contains(&KeyValue::new("url.path", "/products/7")));
        assert!(matches!(data.status, Status::Error { .. }) && data.span_kind == SpanKind::Server);
    }

    #[test]
    fn a_malformed_trace_state_and_name_cost_no_span() {
        let span = Span {
            name: "nonsense".to_owned(),
            kind: Kind::Client,
            trace_id: 1,
            span_id: 2,
            parent_span_id: None,
            trace_state: Some("no pairs".to_owned()),
            began: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            code: Code::Ok,
            peer: String::new(),
            request_id: String::new(),
        };

        let data = span.into_data(&InstrumentationScope::default());

        assert!(data.span_context.is_valid() && data.span_context.trace_state().header().is_empty());
        assert!(data.attributes.contains(&KeyValue::new("rpc.method", "nonsense")));
    }
}
