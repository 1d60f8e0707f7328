//! How many unary calls are worked on at the same time: a limit that finds itself.
//!
//! It is TCP Vegas for calls (Brakmo and Peterson, 1994; as in Netflix's
//! concurrency-limits). What a call takes when it is nearly alone is its baseline;
//! what it takes longer, with others beside it, it spent in a queue. The limit
//! grows while the queue is short and shrinks while it is long.
//!
//! Vegas and not a gradient of averages, because its measure is calls and not
//! time: it settles at a few waiting calls whatever they take, and a long overload
//! does not teach it that slow is normal. Each method has a baseline of its own,
//! so that a slow method does not look like a queue.

use std::time::Duration;

/// When calls are refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A call that is answered in this time was not slow, whatever its baseline.
    pub unhurried: Duration,
    /// So many calls are always worked on.
    pub least: u32,
    /// The limit to begin with.
    pub first: u32,
    /// More calls than this are never worked on.
    pub most: u32,
}

impl Default for Limits {
    /// A tenth of a second is what people take for at once; a service with a closer goal says so.
    fn default() -> Self {
        Self { unhurried: Duration::from_millis(100), least: 16, first: 256, most: 10_000 }
    }
}

/// Waiting calls below which the limit grows, and above which it shrinks.
const SHORT_QUEUE: f64 = 0.5;
const LONG_QUEUE: f64 = 1.5;

/// How much of a difference one call moves a baseline: down with any, up only with one that was nearly alone.
const DOWN: f64 = 0.1;
const UP: f64 = 0.05;

/// The limit.
#[derive(Debug)]
pub(crate) struct Vegas {
    limits: Limits,
    limit: f64,
}

/// What a method takes when nothing waits, in seconds; 0 before its first call.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Baseline(f64);

/// A call that was answered well, or not in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// What it took.
    pub(crate) took: Duration,
    /// Calls that were worked on when it came, itself included.
    pub(crate) beside: u32,
    /// Whether it was answered: one that was not says nothing about what calls take.
    pub(crate) answered: bool,
}

impl Vegas {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limit: f64::from(limits.first.clamp(limits.least, limits.most)), limits }
    }

    /// Calls that may be worked on.
    pub(crate) fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Learns from one call.
    pub(crate) fn learn(&mut self, baseline: &mut Baseline, sample: Sample) {
        let took = sample.took.as_secs_f64().max(1e-6);
        let is_alone = sample.beside <= self.limits.least.min(2);
        if sample.answered {
            baseline.learn(took, is_alone);
        }
        let unqueued = baseline.0.max(self.limits.unhurried.as_secs_f64());
        let beside = f64::from(sample.beside);
        let queue = beside * (1.0 - (unqueued / took).min(1.0));
        // One call in a limit's worth of calls moves it by one: about one step for each round of calls.
        let step = 1.0 / self.limit.max(1.0);
        if queue > LONG_QUEUE {
            self.limit -= (queue - LONG_QUEUE).max(1.0) * step;
        } else if sample.answered && queue < SHORT_QUEUE && beside * 2.0 >= self.limit {
            self.limit += step;
        }
        self.limit = self.limit.clamp(f64::from(self.limits.least), f64::from(self.limits.most));
    }
}

impl Baseline {
    fn learn(&mut self, took: f64, is_alone: bool) {
        if self.0 == 0.0 {
            self.0 = took;
        } else if took < self.0 {
            self.0 += (took - self.0) * DOWN;
        } else if is_alone {
            self.0 += (took - self.0) * UP;
        }
    }

    /// What a call takes, about.
    pub(crate) fn time(self) -> Duration {
        Duration::from_secs_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Limits = Limits { unhurried: Duration::from_millis(1), least: 2, first: 64, most: 1000 };

    /// A server that works on one call at a time, for 2 ms each, and as many callers as the limit lets in.
    fn overload(vegas: &mut Vegas, baseline: &mut Baseline, calls: usize) {
        for _ in 0..calls {
            let beside = vegas.limit();
            vegas.learn(baseline, Sample { took: Duration::from_millis(2) * beside, beside, answered: true });
        }
    }

    #[test]
    fn an_overload_leaves_a_few_waiting_calls() {
        let (mut vegas, mut baseline) = (Vegas::new(STRICT), Baseline::default());
        vegas.learn(&mut baseline, Sample { took: Duration::from_millis(2), beside: 1, answered: true });

        overload(&mut vegas, &mut baseline, 1000);

        assert!((2..=5).contains(&vegas.limit()), "{}", vegas.limit());
    }

    #[test]
    fn a_long_overload_does_not_become_normal() {
        let (mut vegas, mut baseline) = (Vegas::new(STRICT), Baseline::default());
        vegas.learn(&mut baseline, Sample { took: Duration::from_millis(2), beside: 1, answered: true });

        overload(&mut vegas, &mut baseline, 1_000_000);

        assert!((2..=5).contains(&vegas.limit()), "{}", vegas.limit());
        assert!(baseline.time() < Duration::from_millis(5), "{:?}", baseline.time());
    }

    #[test]
    fn calls_that_do_not_wait_for_each_other_raise_the_limit() {
        let (mut vegas, mut baseline) = (Vegas::new(STRICT), Baseline::default());

        for _ in 0..100_000 {
            let beside = vegas.limit();
            vegas.learn(&mut baseline, Sample { took: Duration::from_millis(2), beside, answered: true });
        }

        assert!(vegas.limit() > 300, "{}", vegas.limit());
    }

    #[test]
    fn calls_that_are_given_up_lower_the_limit_and_teach_no_baseline() {
        let (mut vegas, mut baseline) = (Vegas::new(STRICT), Baseline::default());
        vegas.learn(&mut baseline, Sample { took: Duration::from_millis(2), beside: 1, answered: true });

        for _ in 0..1000 {
            let beside = vegas.limit();
            vegas.learn(&mut baseline, Sample { took: Duration::from_secs(1), beside, answered: false });
        }

        assert_eq!(vegas.limit(), 2);
        assert!(baseline.time() < Duration::from_millis(3));
    }

    #[test]
    fn a_method_that_becomes_slower_is_learnt_when_it_is_alone() {
        let (mut vegas, mut baseline) = (Vegas::new(STRICT), Baseline::default());
        vegas.learn(&mut baseline, Sample { took: Duration::from_millis(2), beside: 1, answered: true });

        for _ in 0..200 {
            vegas.learn(&mut baseline, Sample { took: Duration::from_millis(50), beside: 1, answered: true });
        }

        assert!(baseline.time() > Duration::from_millis(45), "{:?}", baseline.time());
    }

    #[test]
    fn nobody_is_refused_while_calls_are_quick_enough() {
        let (mut vegas, mut baseline) = (Vegas::new(Limits::default()), Baseline::default());

        for beside in (1..=256).cycle().take(100_000) {
            let took = Duration::from_micros(200) * beside;
            vegas.learn(&mut baseline, Sample { took, beside, answered: true });
        }

        assert!(vegas.limit() >= 256, "{}", vegas.limit());
    }
}
