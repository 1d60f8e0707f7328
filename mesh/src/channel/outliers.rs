//! Who is left alone for a while because its calls fail: outlier ejection.
//!
//! As in gRFC A50 and Envoy, in the terms of small sets: an instance is ejected
//! after five failures in a row, or when clearly more of its calls fail than of the
//! others'. It comes back through a single probe. Never more than half of the set
//! are ejected: when everybody fails, it is not they who are ill.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that eject.
const IN_A_ROW: u32 = 5;

/// How long success rates are gathered, and from how many calls one is a rate.
const WINDOW: Duration = Duration::from_secs(10);
const LEAST_CALLS: u32 = 20;

/// By how much a success rate has to be below that of the others together.
const CLEARLY_WORSE: f64 = 0.2;

/// The first ejection lasts this long, the second twice that, and so on up to the longest.
const EJECTION: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(300);

/// An instance that was fine for this long is a little forgiven: its next ejection is one step shorter.
const FORGIVENESS: Duration = Duration::from_secs(60);

/// What is known of one instance.
#[derive(Debug, Default, Clone)]
struct Record {
    in_a_row: u32,
    succeeded: u32,
    failed: u32,
    ejections: u32,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Fine,
    Ejected {
        until: Instant,
    },
    /// One call is on its way to see whether it is well again.
    Probing {
        since: Instant,
    },
    /// Back, and watched.
    Back {
        since: Instant,
    },
}

/// The records of a set, by the places of its members.
#[derive(Debug, Default)]
pub(crate) struct Outliers {
    window: Option<Instant>,
    records: Vec<Record>,
}

/// How a call ended, as far as it speaks for or against the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Bad,
    /// It says nothing.
    None,
}

impl Record {
    /// Whether calls go elsewhere.
    fn is_ejected(&self) -> bool {
        matches!(self.state, State::Ejected { .. } | State::Probing { .. })
    }

    /// Whether it is time for a probe.
    fn is_due(&self, now: Instant) -> bool {
        match self.state {
            State::Ejected { until } => now >= until,
            // A probe that nobody heard of again was dropped by its caller.
            State::Probing { since } => now >= since + WINDOW,
            _ => false,
        }
    }

    fn rate(&self) -> Option<f64> {
        let calls = self.succeeded + self.failed;
        (calls >= LEAST_CALLS).then(|| f64::from(self.succeeded) / f64::from(calls))
    }

    fn eject(&mut self, now: Instant) {
        let wait = EJECTION.saturating_mul(self.ejections + 1).min(LONGEST);
        // A tenth of it is chance, so that all callers do not come back in the same moment.
        let until = now + wait.mul_f64(0.95 + fastrand::f64() / 10.0);
        *self = Self { ejections: self.ejections + 1, state: State::Ejected { until }, ..Self::default() };
    }

    fn forgive(&mut self, now: Instant) {
        if let State::Back { since } = self.state
            && now >= since + FORGIVENESS
        {
            self.ejections = self.ejections.saturating_sub(1);
            self.state = if self.ejections == 0 { State::Fine } else { State::Back { since: now } };
        }
    }
}

impl Outliers {
    /// One more member, in the last place.
    pub(crate) fn push(&mut self) {
        self.records.push(Record::default());
    }

    /// The member in this place leaves; those behind it move up.
    pub(crate) fn remove(&mut self, place: usize) {
        self.records.remove(place);
    }

    pub(crate) fn is_ejected(&self, place: usize) -> bool {
        self.records[place].is_ejected()
    }

    /// The places of those for whom it is time for a probe.
    pub(crate) fn due(&self, now: Instant) -> impl Iterator<Item = usize> {
        self.records.iter().enumerate().filter(move |(_, record)| record.is_due(now)).map(|(place, _)| place)
    }

    /// A probe is sent.
    pub(crate) fn probe(&mut self, place: usize, now: Instant) {
        self.records[place].state = State::Probing { since: now };
    }

    /// Notes how a call ended.
    pub(crate) fn note(&mut self, place: usize, verdict: Verdict, now: Instant) {
        if verdict != Verdict::None {
            self.turn_window(now);
        }
        let record = &mut self.records[place];
        match (verdict, record.state) {
            (Verdict::None, State::Probing { .. }) => record.state = State::Ejected { until: now },
            // Calls that were on their way before it was ejected say nothing new.
            (Verdict::None, _) | (_, State::Ejected { .. }) => {}
            (Verdict::Good, State::Probing { .. }) => {
                *record =
                    Record { ejections: record.ejections, state: State::Back { since: now }, ..Record::default() };
            }
            (Verdict::Bad, State::Probing { .. }) => record.eject(now),
            (Verdict::Good, _) => {
                record.in_a_row = 0;
                record.succeeded += 1;
                record.forgive(now);
            }
            (Verdict::Bad, _) => {
                record.in_a_row += 1;
                record.failed += 1;
                let is_outlier = record.in_a_row >= IN_A_ROW || self.is_clearly_worse(place);
                let ejected = self.records.iter().filter(|record| record.is_ejected()).count();
                if is_outlier && (ejected + 1) * 2 <= self.records.len() {
                    self.records[place].eject(now);
                }
            }
        }
    }

    fn turn_window(&mut self, now: Instant) {
        let began = *self.window.get_or_insert(now);
        if now >= began + WINDOW {
            self.window = Some(now);
            for record in &mut self.records {
                (record.succeeded, record.failed) = (0, 0);
            }
        }
    }

    /// Whether more calls of one fail than of the others together.
    fn is_clearly_worse(&self, place: usize) -> bool {
        let Some(own) = self.records[place].rate() else { return false };
        let mut others = Record::default();
        for (_, other) in self.records.iter().enumerate().filter(|(n, _)| *n != place) {
            others.succeeded += other.succeeded;
            others.failed += other.failed;
        }
        others.rate().is_some_and(|rate| own < rate - CLEARLY_WORSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Set {
        outliers: Outliers,
        now: Instant,
    }

    impl Set {
        fn of(size: usize) -> Self {
            let mut outliers = Outliers::default();
            (0..size).for_each(|_| outliers.push());
            Self { outliers, now: Instant::now() }
        }

        /// Notes an end; answers whether the member is ejected after it.
        fn note(&mut self, place: usize, verdict: Verdict) -> bool {
            self.outliers.note(place, verdict, self.now);
            self.outliers.is_ejected(place)
        }

        fn all(&mut self, place: usize, verdicts: &[Verdict]) {
            verdicts.iter().for_each(|verdict| self.outliers.note(place, *verdict, self.now));
        }

        fn ejected(&self) -> Vec<usize> {
            (0..self.outliers.records.len()).filter(|n| self.outliers.is_ejected(*n)).collect()
        }

        fn is_due(&self, place: usize) -> bool {
            self.outliers.due(self.now).any(|due| due == place)
        }

        fn probe(&mut self, place: usize) {
            self.outliers.probe(place, self.now);
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn five_failures_in_a_row_eject_and_one_success_starts_over() {
        let mut set = Set::of(3);
        for _ in 0..4 {
            assert!(!set.note(0, Verdict::Bad));
        }
        set.note(0, Verdict::Good);
        for _ in 0..4 {
            assert!(!set.note(0, Verdict::Bad));
        }

        assert!(set.note(0, Verdict::Bad));
        assert_eq!(set.ejected(), [0]);
    }

    #[test]
    fn never_more_than_half_are_ejected() {
        for size in 1..=9 {
            let mut set = Set::of(size);
            for n in (0..size).cycle().take(size * 20) {
                set.note(n, Verdict::Bad);
            }
            assert_eq!(set.ejected().len(), size / 2, "of {size}");
        }
    }

    #[test]
    fn who_fails_more_than_the_others_is_ejected_though_not_in_a_row() {
        let mut set = Set::of(3);
        let mut calls = 0;
        while set.ejected().is_empty() && calls < 1000 {
            calls += 1;
            (1..3).for_each(|n| set.all(n, &[Verdict::Good]));
            set.note(0, if calls % 2 == 0 { Verdict::Bad } else { Verdict::Good });
        }

        assert_eq!(set.ejected(), [0]);
        assert!((20..=25).contains(&calls), "{calls}");
    }

    #[test]
    fn when_all_fail_alike_nobody_is_worse() {
        let mut set = Set::of(4);
        for call in 0..10_000 {
            let verdict = if call % 3 == 0 { Verdict::Bad } else { Verdict::Good };
            (0..4).for_each(|n| set.all(n, &[verdict]));
        }

        assert_eq!(set.ejected(), [0; 0]);
    }

    #[test]
    fn one_probe_decides_and_ejections_grow() {
        let mut set = Set::of(2);
        let mut lengths = Vec::new();
        set.all(0, &[Verdict::Bad; 5]);
        for _ in 0..3 {
            let mut seconds = 0;
            while !set.is_due(0) {
                set.pass(1);
                seconds += 1;
            }
            lengths.push(seconds);
            set.probe(0);
            assert!(!set.is_due(0), "one probe at a time");
            assert!(set.note(0, Verdict::Bad));
        }
        set.pass(300);
        set.probe(0);
        set.note(0, Verdict::Good);

        assert!(lengths[0] <= 32 && (57..=64).contains(&lengths[1]) && (85..=96).contains(&lengths[2]), "{lengths:?}");
        assert_eq!(set.ejected(), [0; 0]);
    }

    #[test]
    fn a_probe_that_says_nothing_is_sent_again() {
        let mut set = Set::of(2);
        set.all(0, &[Verdict::Bad; 5]);
        set.pass(32);
        set.probe(0);

        set.note(0, Verdict::None);

        assert!(set.is_due(0));
    }

    #[test]
    fn a_good_time_is_forgiving() {
        let mut set = Set::of(2);
        for _ in 0..2 {
            set.all(0, &[Verdict::Bad; 5]);
            set.pass(61);
            set.probe(0);
            set.note(0, Verdict::Good);
        }
        assert_eq!(set.outliers.records[0].ejections, 2);

        for _ in 0..3 {
            set.pass(61);
            set.note(0, Verdict::Good);
        }

        assert_eq!((set.outliers.records[0].ejections, set.outliers.records[0].state), (0, State::Fine));
    }
}
