//! High-water marks: what is stored of each producer, so that nothing is stored twice.
//!
//! The marks are rebuilt from the log itself, so they can be neither ahead of the
//! data nor behind it.

use std::collections::HashMap;

use crate::entry::{Entry, Producer};
use crate::error::Error;

/// What to do with an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Store,
    Duplicate,
}

/// The last stored sequence number of each producer.
#[derive(Debug, Default)]
pub(crate) struct Marks(HashMap<Producer, u64>);

impl Marks {
    /// Decides about the next entry of a producer. The first one may begin anywhere.
    pub(crate) fn judge(&self, entry: &Entry) -> Result<Verdict, Error> {
        match self.0.get(&entry.source.producer) {
            Some(mark) if entry.last_sequence() <= *mark => Ok(Verdict::Duplicate),
            Some(mark) if entry.record.sequence > mark.saturating_add(1) => {
                Err(Error::SequenceHole { expected: mark.saturating_add(1) })
            }
            _ => Ok(Verdict::Store),
        }
    }

    /// Notes that an entry is stored.
    pub(crate) fn advance(&mut self, entry: &Entry) {
        let mark = self.0.entry(entry.source.producer.clone()).or_default();
        *mark = (*mark).max(entry.last_sequence());
    }

    /// The last stored sequence number of a producer.
    pub(crate) fn of(&self, producer: &Producer) -> Option<u64> {
        self.0.get(producer).copied()
    }

    /// Puts a producer's mark back to where it was.
    pub(crate) fn restore(&mut self, producer: &Producer, mark: Option<u64>) {
        match mark {
            Some(mark) => self.0.insert(producer.clone(), mark),
            None => self.0.remove(producer),
        };
    }
}
