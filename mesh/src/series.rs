//! The golden metrics of one method with one peer: count, status, latency, in flight, bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use proto::mesh::{CallStats, CodeCount, MethodKind};
use tokio::time::Instant;
use tonic::Code;

use crate::histogram::Histogram;

/// gRPC's statuses by their names on the wire; the number is the place.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Counts of the calls of one method by or to one peer.
#[derive(Debug)]
pub(crate) struct Series {
    peer: String,
    method: String,
    kind: MethodKind,
    started: AtomicU64,
    in_flight: AtomicU32,
    ended: [AtomicU64; CODES.len()],
    latency: Histogram,
    received: AtomicU64,
    sent: AtomicU64,
    retries: AtomicU64,
}

impl Series {
    pub(crate) fn new(peer: &str, method: &str, kind: MethodKind) -> Self {
        Self {
            peer: peer.to_owned(),
            method: method.trim_start_matches('/').to_owned(),
            kind,
            started: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            ended: std::array::from_fn(|_| AtomicU64::new(0)),
            latency: Histogram::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }
    }

    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// The method, as `package.Service/Method`.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn kind(&self) -> MethodKind {
        self.kind
    }

    pub(crate) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn read(&self) -> CallStats {
        let codes = CODES.iter().zip(&self.ended).filter_map(|(code, count)| {
            let count = count.load(Ordering::Relaxed);
            (count > 0).then(|| CodeCount { code: (*code).to_owned(), count })
        });
        CallStats {
            peer: self.peer.clone(),
            method: self.method.clone(),
            kind: self.kind.into(),
            codes: codes.collect(),
            // Read after the ends, so that nothing seems to have ended that did not begin.
            started: self.started.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            latency: Some(self.latency.read()),
            received_bytes: self.received.load(Ordering::Relaxed),
            sent_bytes: self.sent.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

/// One call while it is measured. Dropped before its end it counts as CANCELLED: nobody waited for it.
#[derive(Debug)]
pub(crate) struct Measured {
    series: Arc<Series>,
    began: Instant,
    ended: bool,
}

impl Measured {
    pub(crate) fn begin(series: Arc<Series>) -> Self {
        Self::began(series, Instant::now())
    }

    /// The same for a call whose beginning is known.
    pub(crate) fn began(series: Arc<Series>, began: Instant) -> Self {
        series.started.fetch_add(1, Ordering::Relaxed);
        series.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { series, began, ended: false }
    }

    pub(crate) fn series(&self) -> &Series {
        &self.series
    }

    /// Counts the end, once; answers how long the call took when this was it.
    pub(crate) fn end(&mut self, code: Code) -> Option<Duration> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        let took = self.began.elapsed();
        self.series.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.series.latency.add(took);
        if let Some(count) = self.series.ended.get(code as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(took)
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _was_the_end = self.end(Code::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_once_and_as_cancelled_when_nobody_waited() {
        let series = Arc::new(Series::new("portal", "/a.B/C", MethodKind::Unary));

        let mut answered = Measured::begin(series.clone());
        assert!(answered.end(Code::NotFound).is_some());
        assert!(answered.end(Code::Ok).is_none());
        drop(answered);
        drop(Measured::begin(series.clone()));
        let _open = Measured::begin(series.clone());

        let read = series.read();
        assert_eq!((read.started, read.in_flight), (3, 1));
        let codes: Vec<_> = read.codes.iter().map(|count| (count.code.as_str(), count.count)).collect();
        assert_eq!(codes, [("CANCELLED", 1), ("NOT_FOUND", 1)]);
        assert_eq!(read.method, "a.B/C");
    }
}
