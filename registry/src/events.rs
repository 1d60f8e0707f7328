//! What happened, for people: as messages, as a live stream, and on the terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::registry::{
    DownReason, Event, EventKind, InstanceState, ListEventsResponse, SuspectReason, WatchEventsResponse,
};
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::changes::{Change, What};
use crate::error::Error;
use crate::instances::Record;
use crate::shared::Shared;

/// Events in one message: each weighs some 300 bytes.
const AT_ONCE: usize = 1000;

/// The terminal shows so many at once; of a storm it shows the beginning and the sum.
const SHOWN: usize = 20;
const STORM: Duration = Duration::from_millis(500);

/// Whose events are wanted; what is not given matches all.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) service: Option<String>,
    pub(crate) instance: Option<String>,
}

impl About {
    fn wants(&self, change: &Change) -> bool {
        if self.service.is_none() && self.instance.is_none() {
            return true;
        }
        change.record().is_some_and(|record| {
            self.service.as_ref().is_none_or(|service| **service == *record.key.service)
                && self.instance.as_ref().is_none_or(|instance| **instance == *record.key.instance)
        })
    }
}

/// One page of what is remembered, the latest first, before the event `before`.
pub(crate) fn page(shared: &Shared, about: &About, before: Option<u64>, size: usize) -> ListEventsResponse {
    shared.with(|instances| {
        let changes = instances.changes();
        let newest = before.map_or(changes.revision(), |before| before.saturating_sub(1));
        let wanted = changes.back_from(newest).filter(|change| about.wants(change));
        ListEventsResponse {
            events: wanted.take(size).map(event).collect(),
            next_page_token: String::new(),
            epoch: shared.epoch().to_owned(),
            revision: changes.revision(),
            first_revision: changes.first_revision(),
        }
    })
}

/// Follows what happens after `position`.
#[derive(Debug)]
pub(crate) struct EventWatcher {
    pub(crate) shared: Shared,
    pub(crate) about: About,
    pub(crate) position: u64,
    published: watch::Receiver<u64>,
    stopping: CancellationToken,
    moved: CancellationToken,
}

impl EventWatcher {
    /// Begins after `position`; without one, with what happens from now on.
    pub(crate) fn new(shared: Shared, about: About, position: Option<u64>, stopping: CancellationToken) -> Self {
        let mut published = shared.published();
        let position = position.unwrap_or_else(|| shared.with(|instances| instances.changes().revision()));
        published.mark_changed();
        let moved = shared.moved();
        Self { shared, about, position, published, stopping, moved }
    }

    /// The messages, until the watcher leaves or the registry stops.
    pub(crate) fn messages(self) -> impl Stream<Item = Result<WatchEventsResponse, Status>> + Send {
        futures_util::stream::unfold(Some(self), async |watcher| {
            let mut watcher = watcher?;
            let message = watcher.next().await?;
            let is_last = message.is_err();
            Some((message, (!is_last).then_some(watcher)))
        })
    }

    async fn next(&mut self) -> Option<Result<WatchEventsResponse, Status>> {
        loop {
            tokio::select! {
                changed = self.published.changed() => changed.ok()?,
                () = self.stopping.cancelled() => return Some(Err(Error::Stopping.into())),
                () = self.moved.cancelled() => return Some(Err(Error::Moved.into())),
            }
            let message = self.catch_up();
            if !message.events.is_empty() || message.missed > 0 {
                return Some(Ok(message));
            }
        }
    }

    fn catch_up(&mut self) -> WatchEventsResponse {
        let (position, about) = (self.position, &self.about);
        let (events, missed, reached, more) = self.shared.with(|instances| {
            let changes = instances.changes();
            let known = position.max(changes.first_revision() - 1).min(changes.revision());
            let missed = known.saturating_sub(position);
            let mut reached = known;
            let mut events = Vec::new();
            for change in changes.after(known).into_iter().flatten() {
                if events.len() == AT_ONCE {
                    break;
                }
                reached = change.revision;
                events.extend(about.wants(change).then(|| event(change)));
            }
            (events, missed, reached, reached < changes.revision())
        });
        self.position = reached;
        if more {
            self.published.mark_changed();
        }
        WatchEventsResponse { epoch: self.shared.epoch().to_owned(), events, missed }
    }
}

/// Shows on the terminal and in the log what happens, until stopped.
pub(crate) async fn show(shared: Shared, stop: CancellationToken) {
    let mut published = shared.published();
    let mut position = 0;
    loop {
        tokio::select! {
            changed = published.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
        let news: Vec<Change> = shared.with(|instances| {
            let changes = instances.changes();
            let known = position.max(changes.first_revision() - 1);
            position = changes.revision();
            changes.after(known).into_iter().flatten().cloned().collect()
        });
        let (shown, summed) = news.split_at(news.len().min(SHOWN));
        shown.iter().for_each(say);
        if summed.is_empty() {
            continue;
        }
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for change in summed {
            *kinds.entry(kind(change).as_str_name().trim_start_matches("EVENT_KIND_")).or_default() += 1;
        }
        let sum: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {}", in_words(kind))).collect();
        tracing::info!("and {} more events: {}", summed.len(), sum.join(", "));
        tokio::select! {
            () = tokio::time::sleep(STORM) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn say(change: &Change) {
    let words = sentence(change);
    match change.record() {
        Some(record) => {
            let reason = reason(record);
            tracing::info!(instance = %record.key, incarnation = record.incarnation, reason, "{words}");
        }
        None if is_trouble(&change.what) => tracing::warn!("{words}"),
        None => tracing::info!("{words}"),
    }
}

/// Whether something unexpected is being handled.
fn is_trouble(what: &What) -> bool {
    matches!(what, What::Protection { began: true, .. } | What::Paused(_))
}

/// A change as messages carry it.
fn event(change: &Change) -> Event {
    let before = match &change.what {
        What::Instance { before, .. } => *before,
        _ => InstanceState::Unspecified,
    };
    Event {
        revision: change.revision,
        time: Some(mesh::timestamp(change.time)),
        kind: kind(change).into(),
        instance: change.record().map(|record| record.brief()),
        state_before: before.into(),
        message: sentence(change),
    }
}

fn kind(change: &Change) -> EventKind {
    match &change.what {
        What::Instance { kind, .. } => *kind,
        What::Protection { began: true, .. } => EventKind::ProtectionBegan,
        What::Protection { .. } => EventKind::ProtectionEnded,
        What::Paused(_) => EventKind::Paused,
        What::Warmed => EventKind::Warmed,
    }
}

/// What happened, readable alone.
fn sentence(change: &Change) -> String {
    match &change.what {
        What::Instance { kind, now, .. } => happened(*kind, now),
        What::Protection { began: true, scope, suspects, instances } => {
            format!("protecting {scope}: {suspects} of {instances} are in doubt, so lapsed leases are held")
        }
        What::Protection { scope, .. } => format!("no longer protecting {scope}"),
        What::Paused(pause) => {
            format!("the registry did not run for {:.1} s; every lease is longer by that", pause.as_secs_f64())
        }
        What::Warmed => "warm: instances have had the time to come back".to_owned(),
    }
}

fn happened(kind: EventKind, record: &Record) -> String {
    let (key, condition) = (&record.key, &record.condition);
    let address = record.registration.address;
    let state = in_words(condition.state.as_str_name().trim_start_matches("INSTANCE_STATE_")).to_uppercase();
    match kind {
        EventKind::Registered if condition.state == InstanceState::Ready => format!("{key} UP at {address}"),
        EventKind::Registered => format!("{key} {state} at {address}"),
        EventKind::Suspected if condition.held => {
            format!("{key} SUSPECT: its lease lapsed, and too many others' with it; it is held and asked")
        }
        EventKind::Suspected => format!("{key} SUSPECT: {}", reason(record)),
        EventKind::Cleared => format!("{key} is back, beyond doubt"),
        EventKind::Drained if condition.drained => format!("{key} DRAINING: an operator drained it"),
        EventKind::Drained => format!("{key} DRAINING: it leaves"),
        EventKind::Undrained => format!("{key} is not drained any more"),
        EventKind::WentDown => format!("{key} DOWN: {}", reason(record)),
        _ => format!("{key} {state}"),
    }
}

/// Why an instance is DOWN or suspect, in words; empty when it is neither.
fn reason(record: &Record) -> String {
    let condition = record.condition;
    match (condition.down, condition.suspect) {
        (DownReason::Unspecified, SuspectReason::Unspecified) => String::new(),
        (DownReason::Unspecified, suspect) => in_words(suspect.as_str_name().trim_start_matches("SUSPECT_REASON_")),
        (down, _) => in_words(down.as_str_name().trim_start_matches("DOWN_REASON_")),
    }
}

fn in_words(name: &str) -> String {
    name.to_lowercase().replace('_', " ")
}
