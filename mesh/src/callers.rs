//! Who calls, for metrics and rate limits: a bounded number of services is told apart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

/// Services that are told apart. Whoever invents names fills this, and no more.
const MOST_CALLERS: usize = 64;

/// What stands for all others.
const OTHER: &str = "other";

/// What stands for who did not say.
const UNKNOWN: &str = "unknown";

/// The calling services.
#[derive(Debug)]
pub(crate) struct Callers {
    known: RwLock<HashMap<String, Arc<Known>>>,
    other: Arc<Known>,
}

impl Default for Callers {
    fn default() -> Self {
        Self { known: RwLock::default(), other: Arc::new(Known::new(OTHER)) }
    }
}

impl Callers {
    /// The caller of this name; the one that stands for the rest when there are too many.
    pub(crate) fn get(&self, service: &str) -> Arc<Known> {
        // A name of ours is not somebody else's.
        let service = if service.is_empty() { UNKNOWN } else { service };
        if service == OTHER {
            return self.other.clone();
        }
        if let Some(caller) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(service) {
            return caller.clone();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_CALLERS {
            return self.other.clone();
        }
        known.entry(service.to_owned()).or_insert_with(|| Arc::new(Known::new(service))).clone()
    }
}

/// One calling service.
#[derive(Debug)]
pub(crate) struct Known {
    name: String,
    rate: Rate,
}

impl Known {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), rate: Rate::default() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How often it calls; not known of those who share a name, who must not pay for each other.
    pub(crate) fn rate(&self) -> Option<&Rate> {
        (self.name != OTHER).then_some(&self.rate)
    }
}

/// How often a caller calls: the generic cell rate algorithm (GCRA), which needs one number.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    began: OnceLock<Instant>,
    /// When the next call would be due if calls came evenly, in nanoseconds since it began.
    due: AtomicU64,
}

impl Rate {
    /// Takes a call, `interval` after the one before, and `burst` calls at once; or says how long to wait.
    pub(crate) fn admit(&self, now: Instant, interval: Duration, burst: u32) -> Result<(), Duration> {
        let began = *self.began.get_or_init(|| now);
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let (now, interval) = (nanos(now.saturating_duration_since(began)), nanos(interval).max(1));
        let ahead = interval.saturating_mul(u64::from(burst.max(1)));
        let admit = |due: u64| {
            let next = due.max(now).saturating_add(interval);
            (next <= now.saturating_add(ahead)).then_some(next)
        };
        self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit).map(drop).map_err(|due| {
            let next = due.max(now).saturating_add(interval);
            Duration::from_nanos(next.saturating_sub(now.saturating_add(ahead)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_names_fill_the_table_and_no_more() {
        let callers = Callers::default();
        let portal = callers.get("portal");

        for n in 0..10_000 {
            callers.get(&format!("invented-{n}"));
        }

        assert!(Arc::ptr_eq(&callers.get("portal"), &portal));
        assert_eq!(callers.get("one-more").name(), OTHER);
        assert!(callers.known.read().unwrap().len() <= MOST_CALLERS);
    }

    #[test]
    fn a_burst_is_taken_and_then_one_call_an_interval() {
        let (rate, began) = (Rate::default(), Instant::now());
        let interval = Duration::from_millis(100);
        let admit = |millis: u64| rate.admit(began + Duration::from_millis(millis), interval, 3);

        assert_eq!([admit(0), admit(0), admit(0)], [Ok(()); 3]);
        assert_eq!(admit(0), Err(interval));
        assert_eq!(admit(99), Err(Duration::from_millis(1)));
        assert_eq!(admit(100), Ok(()));
        assert!(admit(100).is_err());
        assert_eq!(admit(10_000), Ok(()));
    }
}
