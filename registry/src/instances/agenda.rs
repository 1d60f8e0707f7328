//! When to look at which instance: a heap of times, re-checked when one comes.
//!
//! A beat only makes the time later, so it does not touch the heap: the entry is
//! looked at when its old time comes, and is put back for the new one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::registration::Key;

/// Times at which to look at instances, in the table's own time.
#[derive(Debug, Default)]
pub(super) struct Agenda(BinaryHeap<Reverse<(Duration, Key)>>);

impl Agenda {
    /// Looks at `key` at this time.
    pub(super) fn add(&mut self, at: Duration, key: Key) {
        self.0.push(Reverse((at, key)));
    }

    /// The next instance whose time has come, with that time.
    pub(super) fn next(&mut self, now: Duration) -> Option<(Duration, Key)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        self.0.pop().map(|Reverse(due)| due)
    }
}
