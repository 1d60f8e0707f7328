//! One watcher: a snapshot, then every change, from a cursor into the history.
//!
//! Nothing is queued per watcher beyond a few messages: one that is slow is simply
//! further behind, sees the last change of each instance, and past the history a
//! reset. It never misses anything silently.

use std::sync::Arc;
use std::time::Duration;

use proto::registry::watch_response::Event;
use proto::registry::{Bookmark, Delta, Instance, Reset, Snapshot, SnapshotEnd, WatchResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::error::Error;
use crate::instances::Instances;
use crate::pieces;
use crate::shared::Shared;

/// Proves to a watcher that its stream lives.
const BOOKMARK: Duration = Duration::from_secs(5);

/// Where the messages of a watcher go.
pub(crate) type Messages = mpsc::Sender<Result<WatchResponse, Status>>;

/// What a watcher follows, and from where.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) shared: Shared,
    /// Empty follows all.
    pub(crate) services: Vec<String>,
    /// The last revision that it has; none asks for a snapshot.
    pub(crate) applied: Option<u64>,
}

impl Watcher {
    /// Sends until the watcher leaves or the registry stops.
    pub(crate) async fn run(mut self, messages: Messages, stopping: CancellationToken) {
        let ended = tokio::select! {
            ended = self.send_all(&messages) => ended,
            () = stopping.cancelled() => Some(Error::Stopping.into()),
            () = messages.closed() => None,
        };
        if let Some(status) = ended {
            // A watcher that is gone needs no reason.
            let _unread = messages.send(Err(status)).await;
        }
    }

    /// Sends for ever; ends when the watcher is gone.
    async fn send_all(&mut self, messages: &Messages) -> Option<Status> {
        let mut revision = self.shared.revision();
        let warm_at = Instant::from_std(self.shared.warm_at());
        let mut was_warming = self.shared.is_warming();
        loop {
            revision.borrow_and_update();
            for event in self.catch_up() {
                messages.send(Ok(event)).await.ok()?;
            }
            let quiet = tokio::select! {
                changed = revision.changed() => changed.is_err(),
                () = tokio::time::sleep(BOOKMARK) => true,
                () = tokio::time::sleep_until(warm_at), if was_warming => true,
            };
            was_warming = self.shared.is_warming();
            if quiet {
                let applied = self.applied.unwrap_or_default();
                messages.send(Ok(self.message(applied, Event::Bookmark(Bookmark {})))).await.ok()?;
            }
        }
    }

    /// What brings the watcher to the present.
    fn catch_up(&mut self) -> Vec<WatchResponse> {
        let (revision, events) = self.shared.with(|instances| (instances.changes().revision(), self.events(instances)));
        self.applied = Some(revision);
        events.into_iter().map(|(revision, event)| self.message(revision, event)).collect()
    }

    /// The events that are missing, each with the revision that it brings the watcher to.
    fn events(&self, instances: &Instances) -> Vec<(u64, Event)> {
        let Some(changed) = self.applied.and_then(|applied| instances.changes().since(applied)) else {
            return self.snapshot(instances);
        };
        let followed: Vec<_> = changed.into_iter().filter(|(_, instance)| self.follows(instance)).collect();
        let (revisions, followed): (Vec<u64>, Vec<Arc<Instance>>) = followed.into_iter().unzip();
        let mut told = 0;
        let delta = |piece: &[Arc<Instance>]| {
            told += piece.len();
            let changed = piece.iter().map(|instance| Instance::clone(instance)).collect();
            (revisions[told - 1], Event::Delta(Delta { changed }))
        };
        pieces::cut(&followed).into_iter().map(delta).collect()
    }

    fn snapshot(&self, instances: &Instances) -> Vec<(u64, Event)> {
        let followed: Vec<&Arc<Instance>> = instances.up().filter(|instance| self.follows(instance)).collect();
        let followed: Vec<&Instance> = followed.into_iter().map(AsRef::as_ref).collect();
        let snapshot =
            |piece: &[&Instance]| Event::Snapshot(Snapshot { instances: piece.iter().copied().cloned().collect() });
        let parts = pieces::cut(&followed).into_iter().map(snapshot);
        let revision = instances.changes().revision();
        let events = std::iter::once(Event::Reset(Reset {})).chain(parts).chain([Event::SnapshotEnd(SnapshotEnd {})]);
        events.map(|event| (revision, event)).collect()
    }

    fn follows(&self, instance: &Instance) -> bool {
        self.services.is_empty() || self.services.contains(&instance.service)
    }

    fn message(&self, revision: u64, event: Event) -> WatchResponse {
        WatchResponse {
            epoch: self.shared.epoch().to_owned(),
            revision,
            warming: self.shared.is_warming(),
            event: Some(event),
        }
    }
}
