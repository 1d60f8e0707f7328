//! High-water marks: what is stored of each producer, so that nothing is stored twice.
//!
//! The marks are rebuilt from the log itself, so they can be neither ahead of the
//! data nor behind it: each segment's footer has those of its end, and replaying
//! the write-ahead files adds the rest.

use std::collections::HashMap;

use proto::logs::LogRecord;

use crate::entry::{Entry, Producer, last_sequence};
use crate::error::Error;

/// Producers that are remembered. Past this the ones that were silent longest are forgotten.
const MOST: usize = 100_000;

/// A producer that was silent for longer is forgotten: what it then sends again is stored again.
const REMEMBERED: i64 = 30 * 24 * 3600 * 1_000_000_000;

/// What to do with a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Store,
    Duplicate,
}

/// The last stored sequence number of each producer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Marks(HashMap<Producer, Mark>);

/// How far a producer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    /// When its last record was received, in nanoseconds since 1970.
    pub(crate) received: i64,
}

/// The marks as a segment's footer has them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StoredMark {
    #[prost(string, tag = "1")]
    pub(crate) producer: String,
    #[prost(uint64, tag = "2")]
    pub(crate) incarnation: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) sequence: u64,
    #[prost(sint64, tag = "4")]
    pub(crate) received: i64,
}

impl Marks {
    /// Decides about the next record of a producer. The first one may begin anywhere.
    pub(crate) fn judge(&self, producer: &Producer, record: &LogRecord) -> Result<Verdict, Error> {
        let Some(Mark { sequence, .. }) = self.of(producer) else { return Ok(Verdict::Store) };
        if last_sequence(record) <= sequence {
            return Ok(Verdict::Duplicate);
        }
        let expected = sequence.saturating_add(1);
        if record.sequence > expected { Err(Error::SequenceHole { expected }) } else { Ok(Verdict::Store) }
    }

    /// Notes that a producer's record is stored.
    pub(crate) fn advance(&mut self, producer: &Producer, record: &LogRecord, received: i64) {
        if !producer.is_sequenced() {
            return;
        }
        let sequence = last_sequence(record);
        match self.0.get_mut(producer) {
            Some(mark) => *mark = Mark { sequence: mark.sequence.max(sequence), received },
            None => {
                self.0.insert(producer.clone(), Mark { sequence, received });
            }
        }
    }

    /// Notes that an entry is stored.
    pub(crate) fn advance_by(&mut self, entry: &Entry) {
        self.advance(&entry.source.producer, &entry.record, entry.received);
    }

    /// How far a producer is stored.
    pub(crate) fn of(&self, producer: &Producer) -> Option<Mark> {
        self.0.get(producer).copied()
    }

    /// Puts a producer's mark back to where it was.
    pub(crate) fn restore(&mut self, producer: &Producer, mark: Option<Mark>) {
        match mark {
            Some(mark) => self.0.insert(producer.clone(), mark),
            None => self.0.remove(producer),
        };
    }

    /// Forgets producers that have long been silent, and the most silent ones when there are too many.
    pub(crate) fn prune(&mut self, now: i64) {
        self.0.retain(|_, mark| now.saturating_sub(mark.received) < REMEMBERED);
        if self.0.len() > MOST {
            let mut heard: Vec<i64> = self.0.values().map(|mark| mark.received).collect();
            let excess = heard.len() - MOST;
            let (_, oldest_kept, _) = heard.select_nth_unstable(excess);
            let oldest_kept = *oldest_kept;
            self.0.retain(|_, mark| mark.received >= oldest_kept);
        }
    }

    /// The marks, for a footer.
    pub(crate) fn to_messages(&self) -> Vec<StoredMark> {
        let stored = |(producer, mark): (&Producer, &Mark)| StoredMark {
            producer: producer.name.clone(),
            incarnation: producer.incarnation,
            sequence: mark.sequence,
            received: mark.received,
        };
        self.0.iter().map(stored).collect()
    }

    /// The marks of a footer.
    pub(crate) fn from_messages(stored: &[StoredMark]) -> Self {
        let mark = |stored: &StoredMark| {
            let producer = Producer { name: stored.producer.clone(), incarnation: stored.incarnation };
            (producer, Mark { sequence: stored.sequence, received: stored.received })
        };
        Self(stored.iter().map(mark).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(name: &str) -> Producer {
        Producer { name: name.to_owned(), incarnation: 1 }
    }

    fn record(sequence: u64) -> LogRecord {
        LogRecord { sequence, ..Default::default() }
    }

    #[test]
    fn a_hole_is_refused_and_what_is_stored_is_a_duplicate() {
        let mut marks = Marks::default();
        marks.advance(&producer("p"), &record(5), 0);

        assert_eq!(marks.judge(&producer("p"), &record(5)), Ok(Verdict::Duplicate));
        assert_eq!(marks.judge(&producer("p"), &record(6)), Ok(Verdict::Store));
        assert_eq!(marks.judge(&producer("p"), &record(7)), Err(Error::SequenceHole { expected: 6 }));
        assert_eq!(marks.judge(&producer("q"), &record(7)), Ok(Verdict::Store));
    }

    #[test]
    fn long_silent_producers_are_forgotten() {
        let mut marks = Marks::default();
        marks.advance(&producer("old"), &record(1), 0);
        marks.advance(&producer("new"), &record(1), REMEMBERED);
        for number in 0..MOST + 10 {
            marks.advance(&producer(&number.to_string()), &record(1), REMEMBERED + 10 + number as i64);
        }

        marks.prune(REMEMBERED + 1);

        assert_eq!(marks.of(&producer("old")), None);
        assert_eq!(marks.of(&producer("new")), None, "one of too many");
        assert!(marks.of(&producer("9")).is_none() && marks.of(&producer("11")).is_some());
        assert_eq!(Marks::from_messages(&marks.to_messages()).0, marks.0);
    }
}
