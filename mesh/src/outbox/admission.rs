//! Which records are taken when room becomes scarce: the least important are the first to stay out.

use std::time::Instant;

use tracing::Level;

/// How full memory or the spool may be, in hundredths, for a level to be taken still.
fn share(level: Level) -> usize {
    match level {
        Level::TRACE | Level::DEBUG => 50,
        Level::INFO => 75,
        Level::WARN => 90,
        Level::ERROR => 100,
    }
}

/// Whether memory that would hold so many bytes of `capacity` takes a level, beside a spool that is so full.
pub(super) fn admits(level: Level, bytes: usize, capacity: usize, spool_percent: u32) -> bool {
    // An ERROR is refused by memory alone: it is what the last of the spool is for.
    let spooled = level == Level::ERROR || (spool_percent as usize) < share(level);
    spooled && bytes * 100 <= capacity * share(level)
}

/// What the process that keeps the log may say of itself: a second's worth, and how much at once.
const OWN_RATE: f64 = 1000.0;
const OWN_BURST: f64 = 5000.0;

/// A limit of records below WARN, for the process that every record of its own makes work for.
#[derive(Debug)]
pub(super) struct Rate {
    tokens: f64,
    filled: Instant,
}

impl Rate {
    pub(super) fn own() -> Self {
        Self { tokens: OWN_BURST, filled: Instant::now() }
    }

    pub(super) fn admits(&mut self, level: Level, now: Instant) -> bool {
        if level <= Level::WARN {
            return true;
        }
        let elapsed = now.saturating_duration_since(std::mem::replace(&mut self.filled, now));
        self.tokens = (self.tokens + elapsed.as_secs_f64() * OWN_RATE).min(OWN_BURST);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

/// Whether an event is one of those that keeping a record causes: the libraries below gRPC, and less than WARN.
pub(super) fn is_plumbing(target: &str, level: Level) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    level > Level::WARN && ["h2", "hyper", "hyper_util", "tonic", "tower"].contains(&library)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_least_important_stay_out_first() {
        let admitted = |percent: usize, spool| {
            let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
            levels.into_iter().filter(|level| admits(*level, percent, 100, spool)).count()
        };

        let by_memory: Vec<usize> = [50, 51, 75, 76, 90, 91, 100, 101].map(|percent| admitted(percent, 0)).into();
        let by_spool: Vec<usize> = [49, 50, 74, 75, 89, 90, 100].map(|percent| admitted(0, percent)).into();

        assert_eq!(by_memory, [5, 3, 3, 2, 2, 1, 1, 0]);
        assert_eq!(by_spool, [5, 3, 3, 2, 2, 1, 1]);
    }

    #[test]
    fn a_burst_is_bounded_and_warnings_are_not() {
        let mut rate = Rate::own();
        let now = rate.filled;

        assert_eq!((0..9000).filter(|_| rate.admits(Level::INFO, now)).count(), 5000);
        assert!(rate.admits(Level::WARN, now));
        let later = now + Duration::from_millis(100);
        assert_eq!((0..9000).filter(|_| rate.admits(Level::DEBUG, later)).count(), 100);
    }

    #[test]
    fn plumbing_is_what_lies_below_grpc() {
        assert!(is_plumbing("h2::codec::framed_read", Level::TRACE) && is_plumbing("tower", Level::INFO));
        assert!(!is_plumbing("h2", Level::WARN) && !is_plumbing("h2o", Level::TRACE));
    }
}
