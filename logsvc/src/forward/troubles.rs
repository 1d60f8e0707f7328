//! What is said of trouble: now and then only, because a receiver may be away for days.

use std::time::{Duration, Instant};

/// How often each kind is said at most.
const QUIET: Duration = Duration::from_secs(60);

/// What there is to say, and when something was said last.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    refused: u64,
    why_refused: String,
    refused_said: Option<Instant>,
    trouble: Option<String>,
    trouble_said: Option<Instant>,
}

impl Troubles {
    /// The receiver refused records for good.
    pub(super) fn refused(&mut self, count: u64, why: String) {
        self.refused += count;
        self.why_refused = why;
    }

    /// Records have to wait.
    pub(super) fn trouble(&mut self, words: String) {
        self.trouble = Some(words);
    }

    /// They go on.
    pub(super) fn trouble_is_over(&mut self) {
        self.trouble = None;
    }

    /// Says what is due.
    pub(super) fn say(&mut self, endpoint: &str) {
        let Self { refused, why_refused, refused_said, trouble, trouble_said } = self;
        let is_due = |said: &Option<Instant>| said.is_none_or(|said| said.elapsed() >= QUIET);
        if *refused > 0 && is_due(refused_said) {
            tracing::warn!(
                records = *refused,
                endpoint,
                "{refused} log records were refused by the receiver at {endpoint} and are not sent again: {why_refused}"
            );
            (*refused, *refused_said) = (0, Some(Instant::now()));
        }
        if let Some(words) = trouble.take_if(|_| is_due(trouble_said)) {
            tracing::warn!(endpoint, "log records wait for the receiver at {endpoint}: {words}");
            *trouble_said = Some(Instant::now());
        }
    }
}
