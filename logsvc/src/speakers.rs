//! Who logs: when each instance last spoke, how fast, how far its clock is off, and what it lost.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::logs::{LevelCount, Speaker};

use crate::entry::{Source, timestamp};

/// A living process is heard every 10 s, also when it has nothing to say; twice may be missed.
const SILENT_AFTER: i64 = 30 * SECOND;

/// An instance that was silent for longer is forgotten.
const REMEMBERED: i64 = 24 * 3600 * SECOND;

/// What is remembered, and told.
const MOST: usize = 10_000;
const MOST_TOLD: usize = 1000;

/// Levels that losses are counted by: the six ranges, and a few odd ones.
const MOST_LEVELS: usize = 16;

/// Rates are over about a minute.
const WINDOW: f64 = 60.0;

const SECOND: i64 = 1_000_000_000;

/// Everybody who logs.
#[derive(Debug, Default)]
pub(crate) struct Speakers(Mutex<HashMap<(String, String), Known>>);

#[derive(Debug, Default)]
struct Known {
    heard: i64,
    spoke: Option<i64>,
    skew: Option<i64>,
    /// Records a second at the time it spoke last.
    rate: f64,
    stored: u64,
    lost: Vec<LevelCount>,
}

impl Speakers {
    /// Notes that an instance sent something, at `now` and by its own clock at `sent`.
    pub(crate) fn heard(&self, source: &Source, sent: Option<i64>, now: i64) {
        if source.last_words {
            // Somebody else speaks for it.
            return;
        }
        let mut known = self.lock();
        forget(&mut known, now);
        let known = known.entry(key(source)).or_default();
        known.heard = now;
        known.skew = sent.map(|sent| sent.saturating_sub(now)).or(known.skew);
    }

    /// Notes what an instance says it lost.
    pub(crate) fn lost(&self, source: &Source, lost: &[LevelCount]) {
        if lost.is_empty() {
            return;
        }
        let mut known = self.lock();
        let known = known.entry(key(source)).or_default();
        for lost in lost {
            if let Some(counted) = known.lost.iter_mut().find(|counted| counted.level == lost.level) {
                counted.count = counted.count.saturating_add(lost.count);
            } else if known.lost.len() < MOST_LEVELS {
                known.lost.push(*lost);
            }
        }
    }

    /// Notes that records of an instance were stored.
    pub(crate) fn stored(&self, source: &Source, count: u64, now: i64) {
        if count == 0 {
            return;
        }
        let mut known = self.lock();
        let known = known.entry(key(source)).or_default();
        known.rate = known.rate_at(now) + count as f64 / WINDOW;
        known.spoke = Some(now);
        known.heard = known.heard.max(now);
        known.stored += count;
    }

    /// Everybody, the one who was heard last first.
    pub(crate) fn list(&self, now: i64) -> Vec<Speaker> {
        let known = self.lock();
        let mut speakers: Vec<_> = known.iter().collect();
        speakers.sort_by(|(one, a), (other, b)| b.heard.cmp(&a.heard).then(one.cmp(other)));
        speakers
            .into_iter()
            .take(MOST_TOLD)
            .map(|((service, instance), known)| known.told(service, instance, now))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn rate_at(&self, now: i64) -> f64 {
        let since = self.spoke.map_or(0, |spoke| now.saturating_sub(spoke).max(0));
        self.rate * (-(since as f64) / SECOND as f64 / WINDOW).exp()
    }

    fn told(&self, service: &str, instance: &str, now: i64) -> Speaker {
        Speaker {
            service: service.to_owned(),
            instance_id: instance.to_owned(),
            last_heard: Some(timestamp(self.heard)),
            last_spoke: self.spoke.map(timestamp),
            clock_skew: self.skew.map(duration),
            rate: self.rate_at(now),
            stored: self.stored,
            lost: self.lost.clone(),
            silent: now.saturating_sub(self.heard) > SILENT_AFTER,
        }
    }
}

/// Makes room: those that were silent for a day go, and when there are still too many, all that are silent.
fn forget(known: &mut HashMap<(String, String), Known>, now: i64) {
    for limit in [REMEMBERED, SILENT_AFTER, 0] {
        if known.len() < MOST {
            return;
        }
        known.retain(|_, known| now.saturating_sub(known.heard) < limit);
    }
}

fn key(source: &Source) -> (String, String) {
    (source.service.clone(), source.instance.clone())
}

fn duration(nanoseconds: i64) -> prost_types::Duration {
    // Below a second of nanoseconds, with the sign of the whole.
    let nanos = i32::try_from(nanoseconds % SECOND).unwrap_or_default();
    prost_types::Duration { seconds: nanoseconds / SECOND, nanos }
}

/// A duration as a message.
pub(crate) fn duration_of(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::logs::Level;

    fn source(instance: &str) -> Source {
        Source::parse("productsvc".into(), instance.into(), instance.into(), 1).unwrap()
    }

    #[test]
    fn a_silent_instance_is_marked_and_its_rate_fades() {
        let speakers = Speakers::default();
        for second in 0..600 {
            speakers.heard(&source("a"), Some(second * SECOND + 5 * SECOND), second * SECOND);
            speakers.stored(&source("a"), 10, second * SECOND);
        }
        speakers.heard(&source("b"), None, 620 * SECOND);

        let told = speakers.list(640 * SECOND);

        let [b, a] = told.as_slice() else { panic!("{told:?}") };
        assert!(!b.silent && a.silent);
        assert_eq!(a.clock_skew.map(|skew| skew.seconds), Some(5));
        assert_eq!(a.stored, 6000);
        assert!(a.rate > 3.0 && a.rate < 7.0, "{}", a.rate);
        assert_eq!(b.last_spoke, None);
    }

    #[test]
    fn what_was_lost_is_added_up_by_level() {
        let speakers = Speakers::default();
        let gap = |level: Level, count| [LevelCount { level: level.into(), count }];

        speakers.lost(&source("a"), &gap(Level::Info, 3));
        speakers.lost(&source("a"), &gap(Level::Debug, 2));
        speakers.lost(&source("a"), &gap(Level::Info, u64::MAX));

        let lost = &speakers.list(0)[0].lost;
        assert_eq!(lost.iter().map(|lost| lost.count).collect::<Vec<_>>(), [u64::MAX, 2]);
    }

    #[test]
    fn there_are_never_too_many() {
        let speakers = Speakers::default();
        for number in 0..MOST as i64 + 100 {
            speakers.heard(&source(&number.to_string()), None, number * SECOND);
        }

        assert!(speakers.lock().len() <= MOST);
        assert_eq!(speakers.list(0).len(), MOST_TOLD.min(speakers.lock().len()));
    }
}
