//! How busy this process is, as its heartbeats tell: unary calls since the last beat.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proto::registry::Load as Report;
use tokio::time::Instant;

use crate::histogram::Histogram;

/// Counts of what went on since the last report. Streams do not count: many of them never end.
#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicU32,
    latencies: Histogram,
    since: Mutex<Instant>,
}

impl Default for Load {
    fn default() -> Self {
        Self { in_flight: AtomicU32::new(0), latencies: Histogram::default(), since: Mutex::new(Instant::now()) }
    }
}

impl Load {
    /// Counts a call as worked on, until [`Load::end`].
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call as ended.
    pub(crate) fn end(&self, took: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.latencies.add(took);
    }

    /// What went on since the last report.
    pub(crate) fn report(&self) -> Report {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = std::mem::replace(&mut *since, Instant::now()).elapsed();
        let latencies = self.latencies.take();
        Report {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            requests_per_second: latencies.sum() as f64 / elapsed.as_secs_f64().max(0.001),
            latency_p99: latencies.quantile(0.99).and_then(|latency| latency.try_into().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_since_the_last_one() {
        let load = Load::default();
        for _ in 0..10 {
            load.begin();
            load.end(Duration::from_millis(1));
        }

        let (first, second) = (load.report(), load.report());

        assert!(first.requests_per_second > 0.0 && first.latency_p99.is_some());
        assert_eq!((second.requests_per_second, second.latency_p99), (0.0, None));
        assert_eq!(second.in_flight, 0);
    }
}
