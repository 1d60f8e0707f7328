//! Counted calls: how many, how many of them failed, how long they took.

use std::{collections::BTreeMap, time::Duration};

use proto::mesh::{CallStats, MethodKind};

use crate::time::span;

/// Statuses that speak against who was called. Others are answers: a product that is not there is no failure.
const FAILURES: [&str; 7] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// Counts of calls, which can be added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Calls {
    /// How many ended.
    pub(crate) ended: u64,
    /// Those of them that failed.
    pub(crate) failed: u64,
    /// How many have not ended.
    pub(crate) open: u64,
    /// How many ended in a second.
    pub(crate) rate: f64,
    /// All statuses but OK.
    statuses: BTreeMap<String, u64>,
    /// How many took at most so many microseconds and longer than the bound before. Streams are not
    /// in it: they last for as long as somebody reads.
    latency: BTreeMap<u64, u64>,
}

impl Calls {
    /// What was counted since `before`, or ever, in so many seconds.
    pub(crate) fn between(before: Option<&CallStats>, after: &CallStats, seconds: f64) -> Calls {
        let mut calls = Calls::counted(after);
        if let Some(before) = before.map(Calls::counted) {
            calls.ended = calls.ended.saturating_sub(before.ended);
            calls.failed = calls.failed.saturating_sub(before.failed);
            subtract(&mut calls.statuses, &before.statuses);
            subtract(&mut calls.latency, &before.latency);
        }
        calls.rate = if seconds > 0.0 { calls.ended as f64 / seconds } else { 0.0 };
        calls
    }

    /// What was counted ever, without a rate.
    pub(crate) fn counted(stats: &CallStats) -> Calls {
        let mut calls = Calls { open: stats.in_flight.into(), ..Calls::default() };
        for ended in &stats.codes {
            calls.ended += ended.count;
            if ended.code != "OK" {
                *calls.statuses.entry(ended.code.clone()).or_default() += ended.count;
            }
            if FAILURES.contains(&ended.code.as_str()) {
                calls.failed += ended.count;
            }
        }
        if matches!(stats.kind(), MethodKind::Unary | MethodKind::Unspecified) {
            for bucket in stats.latency.iter().flat_map(|latency| &latency.buckets) {
                let bound = bucket.upper_bound.as_ref().and_then(mesh::from_duration);
                let bound = bound.and_then(|bound| u64::try_from(bound.as_micros()).ok());
                *calls.latency.entry(bound.unwrap_or(u64::MAX)).or_default() += bucket.count;
            }
        }
        calls
    }

    pub(crate) fn add(&mut self, other: Calls) {
        self.ended += other.ended;
        self.failed += other.failed;
        self.open += other.open;
        self.rate += other.rate;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (bound, count) in other.latency {
            *self.latency.entry(bound).or_default() += count;
        }
    }

    /// Which share of those that ended failed.
    pub(crate) fn failed_share(&self) -> f64 {
        if self.ended == 0 { 0.0 } else { self.failed as f64 / self.ended as f64 }
    }

    /// How urgent that looks.
    pub(crate) fn tone(&self) -> &'static str {
        match self.failed_share() {
            // One in twenty is felt by everyone who works with it.
            0.05.. => "bad",
            share if share > 0.0 => "fair",
            _ => "good",
        }
    }

    /// The time that so large a share of the calls stayed below, in words; empty when none was timed.
    pub(crate) fn within(&self, share: f64) -> String {
        let all: u64 = self.latency.values().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut below = 0;
        let bound = self.latency.iter().find(|(_, count)| {
            below += **count;
            below >= wanted
        });
        match bound {
            Some((&u64::MAX, _)) => "over 2 min".into(),
            Some((&micros, _)) => about(Duration::from_micros(micros)),
            None => String::new(),
        }
    }

    /// The time that half of them stayed below.
    pub(crate) fn median(&self) -> String {
        self.within(0.5)
    }

    /// The time that all but one in a hundred stayed below.
    pub(crate) fn p99(&self) -> String {
        self.within(0.99)
    }

    /// The rate in words: 0.4/s.
    pub(crate) fn rate_words(&self) -> String {
        match self.rate {
            rate if rate >= 99.95 => format!("{rate:.0}/s"),
            rate if rate >= 0.05 => format!("{rate:.1}/s"),
            rate if rate > 0.0 => "< 0.1/s".into(),
            _ => "0/s".into(),
        }
    }

    /// The share of failures in words: 2.5 %; never 0 % when there is one.
    pub(crate) fn failed_words(&self) -> String {
        match self.failed_share() * 100.0 {
            percent if percent >= 9.95 => format!("{percent:.0} %"),
            percent if percent >= 0.05 => format!("{percent:.1} %"),
            percent if percent > 0.0 => "< 0.1 %".into(),
            _ => "0 %".into(),
        }
    }

    /// Every status but OK with its count: 3 NOT_FOUND, 1 UNAVAILABLE.
    pub(crate) fn statuses_words(&self) -> String {
        let mut statuses: Vec<_> = self.statuses.iter().collect();
        statuses.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let words = statuses.into_iter().map(|(status, count)| format!("{count} {status}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// A time out of a bucket that is right within a fifth: more digits would say what is not known.
fn about(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if (9.95..999.5).contains(&millis) { format!("{millis:.0} ms") } else { span(time) }
}

fn subtract<K: Ord>(from: &mut BTreeMap<K, u64>, counts: &BTreeMap<K, u64>) {
    for (key, count) in from.iter_mut() {
        *count = count.saturating_sub(counts.get(key).copied().unwrap_or_default());
    }
    from.retain(|_, count| *count > 0);
}

#[cfg(test)]
pub(crate) mod tests {
    use proto::mesh::{Bucket, CodeCount, Histogram};

    use super::*;

    /// Calls of a method that ended like this: status and count; those that went well took so many milliseconds.
    pub(crate) fn counted(method: &str, peer: &str, codes: &[(&str, u64)], millis: u64) -> CallStats {
        let ended: u64 = codes.iter().map(|(_, count)| count).sum();
        let bucket = Bucket { upper_bound: Duration::from_millis(millis).try_into().ok(), count: ended };
        CallStats {
            method: method.into(),
            peer: peer.into(),
            kind: MethodKind::Unary.into(),
            started: ended,
            codes: codes.iter().map(|(code, count)| CodeCount { code: (*code).into(), count: *count }).collect(),
            latency: Some(Histogram { buckets: vec![bucket], count: ended, sum: None }),
            ..CallStats::default()
        }
    }

    #[test]
    fn what_came_between_two_looks_is_their_difference() {
        let before = counted("a/B", "x", &[("OK", 100), ("UNAVAILABLE", 100)], 800);
        let mut after = counted("a/B", "x", &[("OK", 118), ("UNAVAILABLE", 101), ("NOT_FOUND", 1)], 2);
        let slow = before.latency.clone().unwrap().buckets;
        after.latency.as_mut().unwrap().buckets.extend(slow);

        let calls = Calls::between(Some(&before), &after, 10.0);

        assert_eq!((calls.ended, calls.failed), (20, 1), "what is not there is an answer");
        assert_eq!((calls.rate_words(), calls.failed_words()), ("2.0/s".into(), "5.0 %".into()));
        assert_eq!(calls.p99(), "2.0 ms", "the slow ones were before");
        assert_eq!(Calls::between(Some(&after), &after, 10.0).p99(), "", "nothing came between");
        assert_eq!(calls.statuses_words(), "1 NOT_FOUND, 1 UNAVAILABLE");
        assert_eq!(calls.tone(), "bad");
    }

    #[test]
    fn a_stream_is_counted_but_not_timed() {
        let mut stream = counted("a/Watch", "x", &[("OK", 1)], 60_000);
        stream.kind = MethodKind::ServerStream.into();
        stream.in_flight = 2;

        let calls = Calls::counted(&stream);

        assert_eq!((calls.ended, calls.open, calls.p99().as_str()), (1, 2, ""));
    }

    #[test]
    fn calls_of_several_instances_are_added_up() {
        let mut calls = Calls::between(None, &counted("a/B", "x", &[("OK", 99)], 1), 10.0);
        calls.add(Calls::between(None, &counted("a/B", "y", &[("OK", 99)], 50), 10.0));

        assert_eq!((calls.ended, calls.rate_words().as_str()), (198, "19.8/s"));
        assert_eq!((calls.median().as_str(), calls.p99().as_str()), ("1.0 ms", "50 ms"));
    }

    #[test]
    fn little_is_not_said_to_be_nothing() {
        let rare = Calls { ended: 100_000, failed: 1, rate: 0.01, ..Calls::default() };
        assert_eq!((rare.rate_words().as_str(), rare.failed_words().as_str()), ("< 0.1/s", "< 0.1 %"));
        assert_eq!((rare.tone(), rare.p99().as_str()), ("fair", ""));
        let none = Calls::default();
        assert_eq!((none.rate_words().as_str(), none.failed_words().as_str()), ("0/s", "0 %"));
    }
}
