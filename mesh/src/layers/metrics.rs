//! Counts and times each call to the end of its answer, and says of it how it ended.
//!
//! The status is in the headers of a refusal and in the trailers of an answer. A
//! call that is dropped before ended as CANCELLED: its caller is gone.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use proto::mesh::MethodKind;
use tonic::body::Body;
use tonic::{Code, Status};

use super::stage::{Escort, Head, Stage};
use crate::call::{Call, Caller};
use crate::refusal::code_in;
use crate::series::{Measured, Series};
use crate::spans::{Exporter, Kind, Span};
use crate::stats::Stats;

/// Measures calls.
#[derive(Debug)]
pub struct Metrics {
    pub(super) stats: Arc<Stats>,
    pub(super) spans: Option<Exporter>,
}

/// Measures one call.
#[derive(Debug)]
pub struct Measuring {
    measured: Measured,
    call: Call,
    /// Counts unary calls for the heartbeat, until the end.
    stats: Option<Arc<Stats>>,
    spans: Option<Exporter>,
}

impl Stage for Metrics {
    const NAME: &'static str = "metrics";
    type Value = ();
    type Escort = Measuring;

    fn arrive(&self, request: &mut Request<Body>) -> Result<Measuring, Status> {
        let call = Call::in_extensions(request.extensions()).unwrap_or_else(|| Call::begin(request.headers()));
        let caller = self.stats.caller(call.get::<Caller>().map_or("unknown", Caller::service));
        let series = self.stats.taken(request.uri().path(), &caller);
        let counted = series.clone();
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Received { body, series: counted });
        let stats = (series.kind() == MethodKind::Unary).then(|| self.stats.clone());
        if let Some(stats) = &stats {
            stats.load.begin();
        }
        let spans = self.spans.clone().filter(|_| call.trace().is_sampled());
        let measured = Measured::began(series, call.arrived());
        Ok(Measuring { measured, call, stats, spans })
    }
}

impl Measuring {
    fn end_with(&mut self, headers: &HeaderMap) {
        if let Some(code) = code_in(headers) {
            self.end(code);
        }
    }

    fn end(&mut self, code: Code) {
        let Some(took) = self.measured.end(code) else { return };
        if let Some(stats) = self.stats.take() {
            stats.load.end(took);
        }
        let method = self.measured.series().method();
        if let Some(spans) = self.spans.take() {
            let (series, call) = (self.measured.series(), &self.call);
            spans.record(Span::ended(Kind::Server, (series, call.caller()), (call, call.trace()), (took, code)));
        }
        let elapsed_ms = took.as_secs_f64() * 1e3;
        let caller = self.call.caller();
        match code {
            // Our own fault, so it is said even when the handler said nothing.
            Code::Internal | Code::Unknown | Code::DataLoss => self.call.sync_scope(|| {
                tracing::warn!(rpc.method = method, rpc.code = ?code, caller, elapsed_ms, "{method} failed: {code:?}");
            }),
            _ if tracing::enabled!(tracing::Level::DEBUG) => self.call.sync_scope(|| {
                tracing::debug!(rpc.method = method, rpc.code = ?code, caller, elapsed_ms, "{method} ended: {code:?}");
            }),
            _ => {}
        }
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

impl Escort for Measuring {
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        work.poll(cx).map(|Ok(response)| {
            self.end_with(response.headers());
            Head::Theirs(response)
        })
    }

    fn poll_frame<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>>
    where
        B: http_body::Body<Data = Bytes, Error = Status>,
    {
        body.poll_frame(cx).map(|frame| {
            match &frame {
                Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                    (Some(data), _) => self.measured.series().add_sent(data.len()),
                    (_, Some(trailers)) => self.end_with(trailers),
                    _ => {}
                },
                Some(Err(status)) => self.end(status.code()),
                // An answer without trailers breaks the protocol; gRPC clients make UNKNOWN of it.
                None => self.end(Code::Unknown),
            }
            frame
        })
    }
}

/// The body of a request, whose bytes are counted.
struct Received {
    body: Body,
    series: Arc<Series>,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.series.add_received(data.len());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
