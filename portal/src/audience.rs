//! Who watches a service, as a page shows it.

use proto::registry;

use crate::backends::registry::Audience as Known;

/// Who watches a service.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub(crate) watchers: Vec<Watcher>,
    /// Whether there are more than are shown.
    pub(crate) cut: bool,
}

/// One watcher.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) caller: String,
    pub(crate) acknowledges: bool,
    /// Changes that it was not told or has not applied yet.
    pub(crate) behind: u64,
}

impl From<Known> for Audience {
    fn from(known: Known) -> Audience {
        let watchers = known.watchers.into_iter().map(|watcher| Watcher::new(watcher, known.revision));
        Audience { watchers: watchers.collect(), cut: known.cut }
    }
}

impl Watcher {
    fn new(watcher: registry::Watcher, revision: u64) -> Watcher {
        // One that only reads does not say what it has applied; what it was sent is all that is known.
        let reached = if watcher.acknowledges { watcher.applied_revision } else { watcher.sent_revision };
        Watcher { caller: watcher.caller, acknowledges: watcher.acknowledges, behind: revision.saturating_sub(reached) }
    }
}
