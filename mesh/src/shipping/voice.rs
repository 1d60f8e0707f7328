//! What the shipper says itself: little, and never about a single shipment.
//!
//! Its thread has no subscriber; these few things go to the one of the process.

use std::time::{Duration, Instant};

use tracing::dispatcher::{self, Dispatch};

/// How often records that were refused are said at most.
const QUIET: Duration = Duration::from_secs(60);

/// How the shipper is heard.
#[derive(Debug)]
pub(super) struct Voice {
    process: Dispatch,
    spool_failed: bool,
    refused: u64,
    said: Option<Instant>,
}

impl Voice {
    /// The voice of the process, while its thread has still one.
    pub(super) fn of_process() -> Self {
        Self { process: dispatcher::get_default(Clone::clone), spool_failed: false, refused: 0, said: None }
    }

    pub(super) fn say(&self, words: impl FnOnce()) {
        dispatcher::with_default(&self.process, words);
    }

    /// Says once that the spool cannot be used.
    pub(super) fn spool_failed(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.spool_failed, true) {
            self.say(|| {
                tracing::warn!("log records wait in memory only, because the spool cannot be written: {error}")
            });
        }
    }

    /// Says how much of what a process left behind nobody can read: how many records that were is unknown.
    pub(super) fn unreadable(&self, instance: &str, bytes: u64) {
        self.say(|| tracing::warn!("{bytes} bytes of the log records that {instance} left behind cannot be read"));
    }

    pub(super) fn levels_changed(&self, levels: &str) {
        self.say(|| tracing::info!("the log service set the log levels to {levels}"));
    }

    /// Counts records that the log service does not take, and says so now and then.
    pub(super) fn refused(&mut self, count: usize, reason: &str) {
        self.refused += count as u64;
        if count == 0 || self.said.is_some_and(|said| said.elapsed() < QUIET) {
            return;
        }
        self.said = Some(Instant::now());
        let refused = self.refused;
        self.say(|| tracing::warn!(records.refused = refused, "the log service refused {refused} records: {reason}"));
    }
}
