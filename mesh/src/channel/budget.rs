//! How many repetitions a channel may make: a tenth of its calls, and a few for a quiet one.
//!
//! Without it a service that fails every call would get a multiple of its load, in
//! the moment in which it can bear it least.

use std::time::Duration;

use tower::retry::budget::{Budget as _, TpsBudget};

/// How long calls are remembered that pay for repetitions.
const MEMORY: Duration = Duration::from_secs(10);

/// Repetitions a second that need no calls to pay for them.
const FREE: u32 = 5;

/// The share of calls that may be repeated.
const SHARE: f32 = 0.1;

/// The repetitions that may still be made.
#[derive(Debug)]
pub(crate) struct Budget(TpsBudget);

impl Default for Budget {
    fn default() -> Self {
        Self(TpsBudget::new(MEMORY, FREE, SHARE))
    }
}

impl Budget {
    /// Notes a call.
    pub(crate) fn deposit(&self) {
        self.0.deposit();
    }

    /// Takes a repetition out, if one is left.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.withdraw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_fails_every_call_gets_a_tenth_more() {
        let budget = Budget::default();
        let mut sent = 0;
        // A minute of a thousand calls a second, each repeated four times if it may be.
        for _ in 0..60_000 {
            budget.deposit();
            sent += 1 + (0..4).filter(|_| budget.withdraw()).count();
            tokio::time::advance(Duration::from_millis(1)).await;
        }

        assert!(sent <= 60_000 * 112 / 100, "{sent}");
        assert!(sent >= 60_000 * 105 / 100, "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_channel_may_repeat_too() {
        let budget = Budget::default();
        budget.deposit();

        assert!((0..4).all(|_| budget.withdraw()));
    }
}
