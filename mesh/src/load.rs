//! How busy this process is, as its heartbeats tell: counted for every request.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proto::registry::Load as Report;

/// Four buckets for each doubling of a latency in microseconds: a p99 is right within a fifth.
const STEPS: f64 = 4.0;
const BUCKETS: usize = 128;

/// Counts of what went on since the last report.
#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicU32,
    latencies: [AtomicU32; BUCKETS],
    since: Mutex<Instant>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            latencies: std::array::from_fn(|_| AtomicU32::new(0)),
            since: Mutex::new(Instant::now()),
        }
    }
}

impl Load {
    /// Counts one request while it is worked on: until its answer begins, so that endless streams do not count.
    pub(crate) async fn measure<T>(&self, work: impl Future<Output = T>) -> T {
        let in_flight = InFlight::begin(self);
        let answer = work.await;
        let bucket = bucket(in_flight.began.elapsed());
        if let Some(count) = self.latencies.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// What went on since the last report.
    pub(crate) fn report(&self) -> Report {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = std::mem::replace(&mut *since, Instant::now()).elapsed();
        let counts: Vec<u64> = self.latencies.iter().map(|count| u64::from(count.swap(0, Ordering::Relaxed))).collect();
        let ended: u64 = counts.iter().sum();
        Report {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            requests_per_second: ended as f64 / elapsed.as_secs_f64().max(0.001),
            latency_p99: quantile(&counts, 0.99).and_then(|latency| prost_types::Duration::try_from(latency).ok()),
        }
    }
}

/// One request; a caller that goes away ends it too.
struct InFlight<'a> {
    load: &'a Load,
    began: Instant,
}

impl<'a> InFlight<'a> {
    fn begin(load: &'a Load) -> Self {
        load.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { load, began: Instant::now() }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn bucket(latency: Duration) -> usize {
    let micros = latency.as_secs_f64() * 1e6;
    ((micros.max(1.0).log2() * STEPS) as usize).min(BUCKETS - 1)
}

/// The upper end of the bucket below which `share` of the counts lie.
fn quantile(counts: &[u64], share: f64) -> Option<Duration> {
    let all: u64 = counts.iter().sum();
    let wanted = (all as f64 * share).ceil() as u64;
    let mut below = 0;
    let reaches = |count: &u64| {
        below += count;
        below >= wanted
    };
    let bucket = counts.iter().position(reaches).filter(|_| all > 0)?;
    Some(Duration::from_secs_f64(((bucket as f64 + 1.0) / STEPS).exp2() / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_report_counts_since_the_last_one() {
        let load = Load::default();
        for _ in 0..10 {
            load.measure(async {}).await;
        }

        let (first, second) = (load.report(), load.report());

        assert!(first.requests_per_second > 0.0 && first.latency_p99.is_some());
        assert_eq!((second.requests_per_second, second.latency_p99), (0.0, None));
        assert_eq!(second.in_flight, 0);
    }

    #[test]
    fn a_quantile_is_right_within_a_fifth() {
        let mut counts = vec![0; BUCKETS];
        for micros in 1..=1000_u64 {
            counts[bucket(Duration::from_micros(micros * 10))] += 1;
        }

        let p99 = quantile(&counts, 0.99).unwrap().as_secs_f64() * 1e6;

        assert!((9_900.0..9_900.0 * 1.25).contains(&p99), "{p99}");
        assert_eq!(quantile(&[0; BUCKETS], 0.99), None);
    }
}
