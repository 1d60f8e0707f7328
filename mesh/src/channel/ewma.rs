//! What an instance's answers take: a moving average that rises at once and falls slowly.
//!
//! Peak EWMA, as Finagle and Linkerd use it: an instance that becomes slow is left
//! at once, and is tried again when its bad time has faded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A peak has faded to a third after this time.
const DECAY: f64 = 5.0;

/// What an instance is taken for that has not answered yet: it is tried soon, and not by everyone at once.
const UNKNOWN: f64 = 1e-3;

/// The average, in seconds. Reading and adding never wait; two at once may lose one of them.
#[derive(Debug)]
pub(crate) struct PeakEwma {
    born: Instant,
    /// The bits of the average at the moment below.
    seconds: AtomicU64,
    /// Microseconds since it was born.
    at: AtomicU64,
}

impl PeakEwma {
    pub(crate) fn new(now: Instant) -> Self {
        Self { born: now, seconds: AtomicU64::new(UNKNOWN.to_bits()), at: AtomicU64::new(0) }
    }

    /// Adds what an answer took.
    pub(crate) fn add(&self, now: Instant, took: Duration) {
        let took = took.as_secs_f64();
        let before = f64::from_bits(self.seconds.load(Ordering::Relaxed));
        let seconds = if took > before { took } else { took + (before - took) * self.decay(now) };
        self.seconds.store(seconds.to_bits(), Ordering::Relaxed);
        self.at.store(self.micros(now), Ordering::Relaxed);
    }

    /// The average in seconds. It fades while nothing is added, so that who was slow is tried again.
    pub(crate) fn read(&self, now: Instant) -> f64 {
        f64::from_bits(self.seconds.load(Ordering::Relaxed)) * self.decay(now)
    }

    fn decay(&self, now: Instant) -> f64 {
        let elapsed = self.micros(now).saturating_sub(self.at.load(Ordering::Relaxed));
        (-(elapsed as f64) / (DECAY * 1e6)).exp()
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_at_once_and_fades() {
        let born = Instant::now();
        let ewma = PeakEwma::new(born);
        let at = |secs: f64| born + Duration::from_secs_f64(secs);

        ewma.add(at(1.0), Duration::from_millis(200));
        assert!((ewma.read(at(1.0)) - 0.2).abs() < 1e-6);
        ewma.add(at(1.1), Duration::from_millis(1));
        assert!(ewma.read(at(1.1)) > 0.19, "one quick answer does not make good");
        assert!(ewma.read(at(31.1)) < 0.001, "half a minute does");
    }

    #[test]
    fn many_quick_answers_make_good() {
        let born = Instant::now();
        let ewma = PeakEwma::new(born);
        ewma.add(born, Duration::from_millis(200));

        for n in 1..=20_000 {
            ewma.add(born + Duration::from_millis(n), Duration::from_millis(1));
        }

        assert!(ewma.read(born + Duration::from_secs(20)) < 0.006);
    }
}
