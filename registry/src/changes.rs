//! What happened, by revision: one ordered, bounded history that everybody reads.
//!
//! Watchers catch up from it and people ask it why an instance is gone. It is the
//! one way in which a change of the table becomes visible, so a replicated log can
//! take its place.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proto::registry::{EventKind, InstanceState};

use crate::instances::{Record, Scope};
use crate::registration::Key;

/// How many changes are remembered; some 10 MB at most. A watcher that is further behind gets a snapshot.
pub(crate) const REMEMBERED: usize = 16_384;

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) time: jiff::Timestamp,
    pub(crate) what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// To an instance: how it is now, and the state in which it was.
    Instance { kind: EventKind, now: Arc<Record>, before: InstanceState },
    /// So many leases lapsed that they are held; or it is over.
    Protection { began: bool, scope: Scope, suspects: u32, instances: u32 },
    /// The registry itself did not run for so long.
    Paused(Duration),
    /// Instances have had the time to come back.
    Warmed,
}

impl Change {
    /// The instance that changed, if it is about one.
    pub(crate) fn record(&self) -> Option<&Arc<Record>> {
        match &self.what {
            What::Instance { now, .. } => Some(now),
            _ => None,
        }
    }
}

/// The latest changes, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    changes: VecDeque<Change>,
    /// The last revision; changes reach from here back without a hole.
    revision: u64,
}

impl Changes {
    /// Adds a change and answers its revision.
    pub(crate) fn push(&mut self, time: jiff::Timestamp, what: What) -> u64 {
        self.revision += 1;
        if self.changes.len() == REMEMBERED {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { revision: self.revision, time, what });
        self.revision
    }

    /// The last revision; 0 before the first change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision that is remembered.
    pub(crate) fn first_revision(&self) -> u64 {
        self.revision + 1 - self.changes.len() as u64
    }

    /// Every change after `revision`, oldest first; none when it is too long ago, or yet to come.
    pub(crate) fn after(&self, revision: u64) -> Option<impl DoubleEndedIterator<Item = &Change> + use<'_>> {
        let behind = usize::try_from(self.revision.checked_sub(revision)?).ok()?;
        let start = self.changes.len().checked_sub(behind)?;
        Some(self.changes.range(start..))
    }

    /// Every change that is remembered, up to `revision`, the latest first.
    pub(crate) fn back_from(&self, revision: u64) -> impl Iterator<Item = &Change> + use<'_> {
        let newer = usize::try_from(self.revision.saturating_sub(revision)).unwrap_or(usize::MAX);
        self.changes.iter().rev().skip(newer)
    }

    /// The last change of each instance after `revision`, in the order of those; none when it is too long ago.
    pub(crate) fn conflated(&self, revision: u64) -> Option<Vec<Arc<Record>>> {
        let changed = || Some(self.after(revision)?.filter_map(Change::record));
        let last: HashMap<&Key, &Arc<Record>> = changed()?.map(|record| (&record.key, record)).collect();
        let is_last = |record: &&Arc<Record>| last.get(&record.key).is_some_and(|last| Arc::ptr_eq(last, record));
        Some(changed()?.filter(is_last).cloned().collect())
    }
}
