//! What a watch has shown: so that nothing is shown twice, whatever the registry sends again.
//!
//! A registry that restarted sends its snapshot anew, under new incarnations, while
//! instances come back. Only what differs from what was shown is news then, and who is
//! missing only once the registry has warmed up.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use proto::registry::watch_response::Event;
use proto::registry::{Instance, InstanceState, WatchResponse};

/// What was shown so far, and up to where.
#[derive(Debug, Default)]
pub(super) struct Known {
    epoch: String,
    revision: u64,
    /// Instances that are not DOWN, by service and id.
    instances: BTreeMap<(String, String), Shown>,
    /// Instances of the snapshot that is being received.
    arriving: Option<Vec<Instance>>,
    /// The parts of a change that is larger than a message.
    parts: Vec<Instance>,
}

#[derive(Debug)]
struct Shown {
    instance: Instance,
    /// Whether the registry has listed it in its present life.
    confirmed: bool,
}

/// What is to be shown, at one revision.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) epoch: String,
    pub(super) revision: u64,
    pub(super) from_revision: u64,
    pub(super) warming: bool,
    pub(super) protected: bool,
    /// Whether this is where the watch begins.
    pub(super) is_first: bool,
    /// Whether the registry is another one than before.
    pub(super) is_another_life: bool,
    pub(super) told: Vec<Told>,
}

/// An instance as it is now.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) instance: Instance,
    /// When it came to be in its state; none when something else changed.
    pub(super) time: Option<Timestamp>,
}

impl Known {
    /// Where to go on: the epoch and the revision that were reached.
    pub(super) fn position(&self) -> (&str, u64) {
        (&self.epoch, self.revision)
    }

    /// Forgets what an earlier stream left unfinished.
    pub(super) fn begin_again(&mut self) {
        self.arriving = None;
        self.parts.clear();
    }

    /// Whether a snapshot is on its way.
    pub(super) fn is_arriving(&self) -> bool {
        self.arriving.is_some()
    }

    /// Takes a message; answers what is new.
    pub(super) fn apply(&mut self, message: WatchResponse) -> Option<News> {
        let is_first = self.epoch.is_empty();
        let is_another_life = !is_first && message.epoch != self.epoch;
        let from_revision = if is_another_life { 0 } else { self.revision };
        let mut told = Vec::new();
        match message.event {
            Some(Event::Reset(_)) => self.arriving = Some(Vec::new()),
            Some(Event::Snapshot(snapshot)) => self.arriving.get_or_insert_default().extend(snapshot.instances),
            Some(Event::SnapshotEnd(_)) => {
                self.instances.values_mut().for_each(|shown| shown.confirmed = false);
                let arrived = self.arriving.take().unwrap_or_default();
                told.extend(arrived.into_iter().filter_map(|instance| self.see(instance)));
                if !is_another_life {
                    // The same registry has nobody else: who is missing is gone, warm or not.
                    told.extend(self.take_missing());
                }
            }
            Some(Event::Delta(delta)) => {
                self.parts.extend(delta.changed);
                if delta.more {
                    return None;
                }
                let changed = std::mem::take(&mut self.parts);
                told.extend(changed.into_iter().filter_map(|instance| self.see(instance)));
            }
            Some(Event::Bookmark(_)) | None => {}
        }
        if self.arriving.is_some() {
            return None;
        }
        if !message.warming {
            told.extend(self.take_missing());
        }
        let (epoch, revision) = (message.epoch, message.revision);
        self.epoch.clone_from(&epoch);
        self.revision = revision;
        let (warming, protected) = (message.warming, message.protected);
        let news = News { epoch, revision, from_revision, warming, protected, is_first, is_another_life, told };
        (is_first || is_another_life || !news.told.is_empty()).then_some(news)
    }

    /// Notes an instance; answers it unless it is only confirmed to be as it was.
    fn see(&mut self, instance: Instance) -> Option<Told> {
        let place = (instance.service.clone(), instance.instance_id.clone());
        let before = match instance.state() {
            InstanceState::Down => self.instances.remove(&place),
            _ => self.instances.insert(place, Shown { instance: instance.clone(), confirmed: true }),
        };
        if before.as_ref().is_some_and(|shown| !shown.confirmed && looks(&shown.instance) == looks(&instance)) {
            return None;
        }
        let has_moved = before.is_none_or(|shown| shown.instance.state != instance.state);
        let time = instance.state_time.filter(|_| has_moved);
        Some(Told { instance, time })
    }

    /// Instances that the registry does not list any more, without ever saying why.
    fn take_missing(&mut self) -> impl Iterator<Item = Told> + use<> {
        let missing = self.instances.extract_if(.., |_, shown| !shown.confirmed).map(|(_, shown)| shown.instance);
        let gone = missing.map(|instance| Instance { state: InstanceState::Down.into(), ..instance });
        gone.map(|instance| Told { instance, time: None }).collect::<Vec<_>>().into_iter()
    }
}

/// An instance without what a registry that began anew counts anew.
fn looks(instance: &Instance) -> Instance {
    Instance { incarnation: 0, register_time: None, state_time: None, ..instance.clone() }
}

#[cfg(test)]
mod tests {
    use proto::registry::{Bookmark, Delta, Reset, Snapshot, SnapshotEnd};

    use super::*;

    fn instance(id: &str, state: InstanceState) -> Instance {
        let state_time = Some(Timestamp { seconds: 1, nanos: 0 });
        Instance { instance_id: id.to_owned(), state: state.into(), state_time, ..Default::default() }
    }

    fn message(epoch: &str, revision: u64, warming: bool, event: Event) -> WatchResponse {
        WatchResponse { epoch: epoch.to_owned(), revision, warming, event: Some(event), protected: false }
    }

    fn delta(changed: Vec<Instance>, more: bool) -> Event {
        Event::Delta(Delta { changed, from_revision: 1, more })
    }

    /// What is shown of a snapshot of READY instances.
    fn snapshot(known: &mut Known, epoch: &str, warming: bool, ids: &[&str]) -> Option<News> {
        let instances = ids.iter().map(|id| instance(id, InstanceState::Ready)).collect();
        assert!(known.apply(message(epoch, 0, warming, Event::Reset(Reset {}))).is_none());
        assert!(known.apply(message(epoch, 0, warming, Event::Snapshot(Snapshot { instances }))).is_none());
        known.apply(message(epoch, 9, warming, Event::SnapshotEnd(SnapshotEnd {})))
    }

    fn told(news: Option<News>) -> Vec<(String, InstanceState)> {
        let told = news.into_iter().flat_map(|news| news.told);
        told.map(|told| (told.instance.instance_id.clone(), told.instance.state())).collect()
    }

    fn one(id: &str, state: InstanceState) -> Vec<(String, InstanceState)> {
        vec![(id.to_owned(), state)]
    }

    #[test]
    fn changes_follow_the_snapshot() {
        let mut known = Known::default();
        let first = snapshot(&mut known, "e1", false, &["a", "b"]).unwrap();
        assert!(first.is_first && first.revision == 9 && first.told.len() == 2);

        let change = vec![instance("a", InstanceState::Draining)];
        let news = known.apply(message("e1", 10, false, delta(change, false))).unwrap();
        assert_eq!((news.is_first, news.from_revision, news.told[0].time.is_some()), (false, 9, true));
        let doubt = Instance { suspect_reason: 1, ..instance("b", InstanceState::Ready) };
        let news = known.apply(message("e1", 11, false, delta(vec![doubt], false))).unwrap();
        assert_eq!(news.told[0].time, None, "its state did not change");
        assert!(known.apply(message("e1", 11, false, Event::Bookmark(Bookmark {}))).is_none());
        assert_eq!(known.position(), ("e1", 11));
    }

    #[test]
    fn a_change_in_parts_is_shown_when_its_last_part_is_here() {
        let mut known = Known::default();
        snapshot(&mut known, "e1", false, &["a"]);

        let part = |id: &str, more| delta(vec![instance(id, InstanceState::Ready)], more);
        assert!(known.apply(message("e1", 9, false, part("b", true))).is_none());
        let whole = told(known.apply(message("e1", 12, false, part("c", false))));

        assert_eq!(whole, [one("b", InstanceState::Ready), one("c", InstanceState::Ready)].concat());
    }

    #[test]
    fn a_restarted_registry_repeats_nothing_and_nobody_is_gone_before_it_is_warm() {
        let mut known = Known::default();
        snapshot(&mut known, "e1", false, &["a", "b", "c"]);

        let news = snapshot(&mut known, "e2", true, &["a"]).unwrap();
        assert!(news.is_another_life && news.told.is_empty());
        let back = Instance { incarnation: 7, ..instance("b", InstanceState::Ready) };
        assert!(known.apply(message("e2", 10, true, delta(vec![back], false))).is_none(), "it is as it was");
        let new = vec![instance("d", InstanceState::Ready)];
        assert_eq!(told(known.apply(message("e2", 11, true, delta(new, false)))), one("d", InstanceState::Ready));

        let warm = known.apply(message("e2", 11, false, Event::Bookmark(Bookmark {})));
        assert_eq!(told(warm), one("c", InstanceState::Down));
    }

    #[test]
    fn a_reset_of_the_same_registry_shows_only_what_changed() {
        let mut known = Known::default();
        snapshot(&mut known, "e1", true, &["a", "b"]);

        let news = told(snapshot(&mut known, "e1", true, &["b", "c"]));

        assert_eq!(news, [one("c", InstanceState::Ready), one("a", InstanceState::Down)].concat());
    }
}
