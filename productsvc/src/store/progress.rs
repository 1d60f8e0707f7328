//! How far long work is, for who watches it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far the present step of some work is.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    step: Mutex<&'static str>,
}

impl Progress {
    /// What is done now, how much of it, and out of how much; 0 when nobody knows.
    pub fn look(&self) -> (&'static str, u64, u64) {
        let step = *self.step.lock().unwrap_or_else(PoisonError::into_inner);
        (step, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Begins a step of so much.
    pub(super) fn begin(&self, step: &'static str, total: u64) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Notes that so much more is done.
    pub(super) fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    /// Notes that so much is done in all.
    pub(super) fn reach(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }
}
