//! What the processes of the mesh say of their calls, seen at two moments.
//!
//! Counts only rise, so a rate is the difference of two looks. A task looks every few
//! seconds, and only while somebody has the pages open that show it; a page that comes
//! after a pause waits for one look, and compares it with the last one before.

pub(crate) mod calls;
mod look;
mod numbers;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::backends::Backends;
pub(crate) use crate::traffic::{
    look::Look,
    numbers::{Edge, Numbers, Served},
};

/// How often the task looks.
const PERIOD: Duration = Duration::from_secs(5);

/// A look younger than this is current: the task's own period, and the time that one may take.
const FRESH: Duration = Duration::from_secs(7);

/// How long after the last visitor the task goes on looking: somebody who reads reloads sooner.
const WATCHED: Duration = Duration::from_secs(60);

/// How long a page waits for its first look, which is bounded itself.
const PATIENCE: Duration = Duration::from_millis(1600);

/// The time that rates are averaged over, when so much has been seen: long enough for slow calls,
/// short enough to be called now.
const WINDOW: Duration = Duration::from_secs(10);

/// A look that is older says nothing about now.
const STALE: Duration = Duration::from_secs(600);

/// Looks that are kept: enough for [`WINDOW`], and one more.
const KEPT: usize = 4;

/// What was seen of the calls of the mesh. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    /// The latest last.
    looks: watch::Sender<Vec<Arc<Look>>>,
    /// When somebody last asked.
    asked: watch::Sender<Option<Instant>>,
}

impl Traffic {
    /// Nothing seen yet.
    pub(crate) fn unseen() -> Traffic {
        Traffic { looks: watch::Sender::new(Vec::new()), asked: watch::Sender::new(None) }
    }

    /// Looks while somebody wants to know, until it is stopped.
    pub(crate) async fn follow(self, backends: Backends, stop: CancellationToken) {
        let mut asked = self.asked.subscribe();
        let looking = async {
            while asked.changed().await.is_ok() {
                while self.is_watched() {
                    if let Some(look) = Look::take(&backends).await {
                        self.add(look);
                    }
                    sleep(PERIOD).await;
                }
            }
        };
        // A look that is cut short leaves nothing behind.
        stop.run_until_cancelled(looking).await;
    }

    /// The numbers of now. Waits for them for a moment, when nobody has looked lately.
    pub(crate) async fn numbers(&self) -> Numbers {
        self.asked.send_replace(Some(Instant::now()));
        let mut looks = self.looks.subscribe();
        let is_fresh = |looks: &Vec<Arc<Look>>| looks.last().is_some_and(|look| look.taken.elapsed() < FRESH);
        let in_time = matches!(timeout(PATIENCE, looks.wait_for(is_fresh)).await, Ok(Ok(_)));
        if !in_time {
            return Numbers::default();
        }
        let looks = looks.borrow();
        let before = looks.last().and_then(|latest| basis(&looks, latest));
        Numbers::new(looks.last().cloned(), before)
    }

    fn is_watched(&self) -> bool {
        self.asked.borrow().is_some_and(|asked| asked.elapsed() < WATCHED)
    }

    fn add(&self, look: Look) {
        self.looks.send_modify(|looks| {
            looks.push(Arc::new(look));
            let excess = looks.len().saturating_sub(KEPT);
            looks.drain(..excess);
        });
    }
}

/// What the latest look is compared with: the youngest that is a window older, or the oldest.
fn basis(looks: &[Arc<Look>], latest: &Look) -> Option<Arc<Look>> {
    let age = |look: &Look| latest.taken.saturating_duration_since(look.taken);
    let mut older = looks.iter().rev().filter(|look| (Duration::from_secs(1)..STALE).contains(&age(look)));
    let is_a_window_ago = |look: &&Arc<Look>| age(look) + Duration::from_millis(500) >= WINDOW;
    older.clone().find(is_a_window_ago).or_else(|| older.next_back()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(seconds_ago: &[u64]) -> Vec<Arc<Look>> {
        let now = Instant::now() + Duration::from_secs(10_000);
        seconds_ago.iter().map(|ago| Arc::new(Look::test(now - Duration::from_secs(*ago), vec![]))).collect()
    }

    /// How long before the latest look that one was which it is compared with.
    fn compared(seconds_ago: &[u64]) -> Option<u64> {
        let looks = looks(seconds_ago);
        let latest = looks.last().unwrap();
        basis(&looks, latest).map(|before| (latest.taken - before.taken).as_secs())
    }

    #[test]
    fn a_look_is_compared_with_the_one_a_window_before() {
        assert_eq!(compared(&[15, 10, 5, 0]), Some(10));
        assert_eq!(compared(&[5, 0]), Some(5), "less was not seen");
        assert_eq!(compared(&[0]), None);
        assert_eq!(compared(&[315, 310, 305, 0]), Some(305), "after a pause, the last one before it");
        assert_eq!(compared(&[3600, 0]), None, "an hour is not now");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_until_somebody_wants_to_know() {
        let traffic = Traffic::unseen();
        assert!(!traffic.is_watched());

        let numbers = traffic.numbers().await;

        assert!(traffic.is_watched());
        assert_eq!(numbers.until(), None);
        assert!(numbers.edges().is_empty());
    }

    #[tokio::test]
    async fn only_the_last_looks_are_kept() {
        let traffic = Traffic::unseen();
        for _ in 0..10 {
            traffic.add(Look::test(Instant::now(), vec![]));
        }
        assert_eq!(traffic.looks.borrow().len(), KEPT);
        assert!(traffic.numbers().await.until().is_some());
    }
}
