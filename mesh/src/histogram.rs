//! How long things took: counted in buckets that are a quarter of a doubling wide.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto::mesh::{Bucket, Histogram as Message};

/// Buckets for each doubling: a quantile is right within a fifth.
const STEPS: usize = 4;

/// Up to 2^27 microseconds, which is two minutes; the last bucket has no bound.
const BUCKETS: usize = 27 * STEPS;

/// Counts of times. Adding never waits.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), sum_micros: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub(crate) fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(bucket(micros)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn read(&self) -> Message {
        let mut buckets = Vec::new();
        let mut all = 0;
        for (n, count) in self.counts.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                all += count;
                let upper_bound = (n + 1 < BUCKETS).then(|| Duration::from_micros(upper(n)));
                buckets.push(Bucket { upper_bound: upper_bound.and_then(|bound| bound.try_into().ok()), count });
            }
        }
        let sum = Duration::from_micros(self.sum_micros.load(Ordering::Relaxed)).try_into().ok();
        Message { buckets, count: all, sum }
    }

    /// Takes the counts out, so that the next look begins anew: what a p99 of one period is made of.
    pub(crate) fn take(&self) -> Counts {
        Counts(self.counts.iter().map(|count| count.swap(0, Ordering::Relaxed)).collect())
    }
}

/// Counts that were taken out of a histogram.
#[derive(Debug)]
pub(crate) struct Counts(Vec<u64>);

impl Counts {
    /// How many times were counted.
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The upper end of the bucket below which `share` of the counts lie.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let all = self.sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut below = 0;
        let reaches = |count: &u64| {
            below += count;
            below >= wanted
        };
        let bucket = self.0.iter().position(reaches).filter(|_| all > 0)?;
        Some(Duration::from_micros(upper(bucket)))
    }
}

/// The bucket of a time: one each for 0 to 3, then four for each doubling.
fn bucket(micros: u64) -> usize {
    if micros < STEPS as u64 {
        return micros as usize;
    }
    let doubling = micros.ilog2() as usize;
    let step = (micros >> (doubling - 2)) as usize & (STEPS - 1);
    ((doubling - 1) * STEPS + step).min(BUCKETS - 1)
}

/// The longest time in a bucket, in microseconds, plus one: buckets end where the next begins.
fn upper(bucket: usize) -> u64 {
    let next = bucket + 1;
    if next < STEPS {
        return next as u64;
    }
    let (doubling, step) = (next / STEPS + 1, next % STEPS);
    ((STEPS + step) as u64) << (doubling - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_below_the_bound_of_its_bucket_and_not_below_the_one_before() {
        for micros in (0..5000).chain([100_000, 1_000_000, 60_000_000]) {
            let n = bucket(micros);
            assert!(micros < upper(n), "{micros} in {n}, which ends at {}", upper(n));
            assert!(n == 0 || micros >= upper(n - 1), "{micros} in {n}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_doubling_ends_a_bucket() {
        for doubling in 2..26 {
            let end = 1 << doubling;
            assert_eq!(upper(bucket(end - 1)), end);
        }
    }

    #[test]
    fn a_quantile_is_right_within_a_fifth() {
        let histogram = Histogram::default();
        for micros in 1..=1000_u64 {
            histogram.add(Duration::from_micros(micros * 10));
        }

        let p99 = histogram.take().quantile(0.99).unwrap().as_secs_f64() * 1e6;

        assert!((9_900.0..9_900.0 * 1.25).contains(&p99), "{p99}");
        assert_eq!(histogram.take().quantile(0.99), None);
    }

    #[test]
    fn what_is_read_adds_up() {
        let histogram = Histogram::default();
        [1, 1, 300, u64::MAX / 4].into_iter().for_each(|micros| histogram.add(Duration::from_micros(micros)));

        let read = histogram.read();

        assert_eq!(read.count, 4);
        assert_eq!(read.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 4);
        assert_eq!(read.buckets.last().unwrap().upper_bound, None);
    }
}
