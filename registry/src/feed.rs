//! What watchers are sent: snapshots and deltas, encoded once and shared.
//!
//! Watchers that follow the same services and stand at the same revision are sent
//! the same bytes. What is encoded is kept until the next publication, so ten
//! thousand of them cost one encoding, and a herd that comes back costs one snapshot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::encoded::Encoded;
use proto::registry::watch_response::Event;
use proto::registry::{Bookmark, Delta, Instance, Reset, Snapshot, SnapshotEnd, WatchResponse};

use crate::changes::What;
use crate::instances::{Instances, Record};
use crate::pieces;

/// Different positions that are kept at once; more are encoded for each watcher that asks.
const MOST_KEPT: usize = 1024;

/// The services that a watcher follows, sorted; none is all.
pub(crate) type Followed = Arc<[Arc<str>]>;

/// What was encoded, by who stands where.
type Kept = HashMap<(Followed, Option<u64>), Arc<Batch>>;

/// Messages that bring a watcher from its revision to a later one.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<Encoded<WatchResponse>>,
    pub(crate) revision: u64,
}

/// The encoded messages of the present.
#[derive(Debug)]
pub(crate) struct Feed {
    epoch: String,
    kept: Mutex<Kept>,
}

/// What the table says at one revision, on its way to be encoded.
struct Told {
    revision: u64,
    warming: bool,
    protected: bool,
    news: News,
}

enum News {
    Snapshot(Vec<Arc<Record>>),
    Changes {
        from: u64,
        changed: Vec<Arc<Record>>,
        /// Something happened that every watcher should know of.
        to_all: bool,
    },
}

impl Feed {
    pub(crate) fn new(epoch: &str) -> Self {
        Self { epoch: epoch.to_owned(), kept: Mutex::default() }
    }

    /// Forgets what was encoded: there is news.
    pub(crate) fn renew(&self) {
        self.lock().clear();
    }

    /// What brings a watcher of these services from `position` to the present; without one, everything.
    pub(crate) fn batch(
        &self,
        followed: &Followed,
        position: Option<u64>,
        read: impl FnOnce(&mut dyn FnMut(&Instances)),
    ) -> Arc<Batch> {
        let key = (followed.clone(), position);
        if let Some(batch) = self.lock().get(&key) {
            return batch.clone();
        }
        let mut told = None;
        read(&mut |instances| told = Some(Told::of(instances, followed, position)));
        let batch =
            Arc::new(told.map_or_else(|| Batch { messages: Vec::new(), revision: 0 }, |told| self.encode(told)));
        let mut kept = self.lock();
        if kept.len() < MOST_KEPT {
            // Whoever was first is shared; who comes second has the same.
            return kept.entry(key).or_insert(batch).clone();
        }
        batch
    }

    /// Says that the stream lives, and what the watcher has reached.
    pub(crate) fn bookmark(&self, revision: u64, instances: &Instances) -> Encoded<WatchResponse> {
        let (warming, protected) = (instances.is_warming(), instances.is_protected());
        self.message(&Told { revision, warming, protected, news: News::none(revision) }, revision, bookmark())
    }

    fn encode(&self, mut told: Told) -> Batch {
        let revision = told.revision;
        let messages = match std::mem::replace(&mut told.news, News::none(revision)) {
            News::Snapshot(records) => {
                let instances: Vec<Instance> = records.iter().map(|record| record.instance()).collect();
                let parts = pieces::cut(&instances).into_iter();
                let parts = parts.map(|part| Event::Snapshot(Snapshot { instances: part.to_vec() }));
                // Half a snapshot is no place to come back to.
                let begin = [Event::Reset(Reset {})].into_iter().chain(parts);
                let end = self.message(&told, revision, Event::SnapshotEnd(SnapshotEnd {}));
                begin.map(|event| self.message(&told, 0, event)).chain([end]).collect()
            }
            News::Changes { changed, to_all: true, .. } if changed.is_empty() => {
                vec![self.message(&told, revision, bookmark())]
            }
            News::Changes { from, changed, .. } => {
                let changed: Vec<Instance> = changed.iter().map(|record| record.instance()).collect();
                let parts = pieces::cut(&changed);
                let last = parts.len().saturating_sub(1);
                let delta = |(n, part): (usize, &[Instance])| {
                    let more = n < last;
                    let event = Event::Delta(Delta { changed: part.to_vec(), from_revision: from, more });
                    self.message(&told, if more { from } else { revision }, event)
                };
                parts.into_iter().enumerate().map(delta).collect()
            }
        };
        Batch { messages, revision }
    }

    fn message(&self, told: &Told, revision: u64, event: Event) -> Encoded<WatchResponse> {
        Encoded::new(&WatchResponse {
            epoch: self.epoch.clone(),
            revision,
            warming: told.warming,
            protected: told.protected,
            event: Some(event),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn of(instances: &Instances, followed: &Followed, position: Option<u64>) -> Self {
        let changes = instances.changes();
        let caught_up = position.and_then(|from| {
            let to_all =
                changes.after(from)?.any(|change| matches!(change.what, What::Protection { .. } | What::Warmed));
            let mut changed = changes.conflated(from)?;
            changed.retain(|record| followed.is_empty() || followed.contains(&record.key.service));
            Some(News::Changes { from, changed, to_all })
        });
        Self {
            revision: changes.revision(),
            warming: instances.is_warming(),
            protected: instances.is_protected(),
            news: caught_up.unwrap_or_else(|| News::Snapshot(instances.up(followed))),
        }
    }
}

impl News {
    fn none(from: u64) -> Self {
        Self::Changes { from, changed: Vec::new(), to_all: false }
    }
}

fn bookmark() -> Event {
    Event::Bookmark(Bookmark {})
}
