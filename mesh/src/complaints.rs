//! Says what was refused, and keeps a flood of it out of the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many are said in [`WINDOW`]; a person reads no more.
const MOST: u32 = 20;

/// After this it begins anew.
const WINDOW: Duration = Duration::from_secs(10);

/// Counts what is said: 20 in 10 seconds. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Complaints(Arc<Mutex<Option<Window>>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    said: u32,
    unsaid: u64,
}

impl Complaints {
    /// Whether this one may be said, and how many were left out since the last one that was.
    fn admit(&self) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let old = window.take_if(|window| now.duration_since(window.began) >= WINDOW);
        let left_out = old.map_or(0, |window| window.unsaid);
        let window = window.get_or_insert(Window { began: now, said: 0, unsaid: 0 });
        if window.said < MOST {
            window.said += 1;
            return Some(left_out);
        }
        window.unsaid += 1;
        None
    }

    /// Lets it be said, unless too much was; what it is called with tells of those that were left out, and follows.
    pub fn warn(&self, say: impl FnOnce(&str)) {
        match self.admit() {
            None => {}
            Some(0) => say(""),
            Some(left_out) => say(&format!(" ({left_out} more like it were not logged)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_and_not_said() {
        let complaints = Complaints::default();

        let said = (0..500).filter(|_| complaints.admit().is_some()).count();
        tokio::time::sleep(WINDOW).await;

        assert_eq!(said, 20);
        assert_eq!(complaints.admit(), Some(480));
        assert_eq!(complaints.admit(), Some(0));
    }
}
