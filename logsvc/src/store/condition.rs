//! How the store is doing: counters and states that its threads write and everybody reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// What may wait to be encoded, as entries weigh in memory: what comes while a segment is sealed.
const MOST_UNENCODED: usize = 16 * 1024 * 1024;

/// How the store is doing.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    pub(crate) stored: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) wal_bytes: AtomicU64,
    /// Files that were put aside because they are damaged.
    pub(crate) quarantined: AtomicU64,
    pub(crate) disk_full: AtomicBool,
    /// Whether segments cannot be sealed, and whether so much waits for it that nothing more is stored.
    pub(crate) sealing_fails: AtomicBool,
    pub(crate) too_much_unsealed: AtomicBool,
    /// Write-ahead files with nothing from this offset on are not needed any more.
    pub(crate) released: AtomicU64,
    /// Cancelled when nothing can be promised any more: the process has to end.
    pub(crate) failed: CancellationToken,
    /// What committed entries weigh that are in no block yet, and who waits for that to become less.
    unencoded: Mutex<usize>,
    encoded: Condvar,
    syncs: Mutex<Latencies>,
}

/// How long something took, in steps of an eighth of an octave from a microsecond on.
#[derive(Debug)]
struct Latencies([u64; STEPS]);

const STEPS: usize = 256;
const STEPS_PER_OCTAVE: f64 = 8.0;

impl Default for Latencies {
    fn default() -> Self {
        Self([0; STEPS])
    }
}

impl Condition {
    /// Notes that entries were handed to the encoder. Waits while it is too far behind.
    pub(crate) fn hand_over(&self, bytes: usize) {
        let unencoded = self.unencoded.lock().unwrap_or_else(PoisonError::into_inner);
        let is_far_behind = |unencoded: &mut usize| *unencoded > MOST_UNENCODED && !self.failed.is_cancelled();
        let waited = self.encoded.wait_while(unencoded, is_far_behind);
        *waited.unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    /// Notes that the encoder has taken entries.
    pub(crate) fn taken(&self, bytes: usize) {
        let mut unencoded = self.unencoded.lock().unwrap_or_else(PoisonError::into_inner);
        *unencoded = unencoded.saturating_sub(bytes);
        self.encoded.notify_all();
    }

    /// Notes how long forcing to disk took.
    pub(crate) fn synced(&self, took: Duration) {
        let steps = (took.as_secs_f64() * 1e6).max(1.0).log2() * STEPS_PER_OCTAVE;
        // A float that is too large becomes the largest step.
        let step = (steps as usize).min(STEPS - 1);
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner).0[step] += 1;
    }

    /// What that share of syncs took at most; zero when there was none.
    pub(crate) fn sync_quantile(&self, share: f64) -> Duration {
        let syncs = self.syncs.lock().unwrap_or_else(PoisonError::into_inner);
        let total: u64 = syncs.0.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (step, count) in syncs.0.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return Duration::from_secs_f64(((step as f64 + 1.0) / STEPS_PER_OCTAVE).exp2() / 1e6);
            }
        }
        Duration::ZERO
    }

    /// Sets whether the disk is full; answers whether that is new.
    pub(crate) fn set_full(&self, full: bool) -> bool {
        self.disk_full.swap(full, Ordering::Relaxed) != full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_noted() {
        let condition = Condition::default();
        assert_eq!(condition.sync_quantile(0.5), Duration::ZERO);

        (0..99).for_each(|_| condition.synced(Duration::from_millis(4)));
        condition.synced(Duration::from_millis(100));

        let near = |found: Duration, expected: f64| (found.as_secs_f64() / expected - 1.0).abs() < 0.1;
        assert!(near(condition.sync_quantile(0.5), 0.004), "{:?}", condition.sync_quantile(0.5));
        assert!(near(condition.sync_quantile(1.0), 0.1), "{:?}", condition.sync_quantile(1.0));
    }
}
