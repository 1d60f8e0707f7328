//! A live picture of a named service, through the registry's Watch.
//!
//! While the registry is away, the last picture stays. After a registry restarted,
//! instances that it does not list yet stay in the picture until it says that it
//! has warmed up, so that its restart takes nobody out of service.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::watch_response::Event;
use proto::registry::{Instance, InstanceState, SuspectReason, WatchRequest, WatchResponse};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::picture::{Mark, Painter, Picture, Rank, Seen};

/// A bookmark comes every 5 s; twice that without a word is a dead stream.
const SILENCE: Duration = Duration::from_secs(11);

/// Where a watch stands: what was reached, and what is still to be confirmed.
#[derive(Debug, Default)]
struct Position {
    mark: Mark,
    /// Instances of the snapshot that is being received.
    arriving: Option<BTreeMap<String, Seen>>,
    /// The parts of a change that is larger than a message.
    parts: Vec<Instance>,
    /// Instances known from an earlier epoch that the warming registry has not listed yet.
    unconfirmed: BTreeMap<String, Seen>,
}

/// Follows `service` for ever, keeping the picture current, and acknowledges what was applied.
pub(crate) async fn follow(registry: Channel, service: String, painter: Painter) {
    let mut position = Position::default();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
    loop {
        let before = position.mark.clone();
        let broken = watch_once(&registry, &service, &painter, &mut position).await;
        tracing::debug!("watch of {service} ended: {}", broken.message());
        painter.note(&registry.trouble().unwrap_or_else(|| broken.message().to_owned()));
        if position.mark != before {
            backoff.reset();
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Follows until the stream breaks, and says why it did.
async fn watch_once(registry: &Channel, service: &str, painter: &Painter, position: &mut Position) -> Status {
    position.arriving = None;
    position.parts.clear();
    let begin = WatchRequest {
        services: vec![service.to_owned()],
        epoch: position.mark.epoch.clone(),
        revision: position.mark.revision,
        acknowledges: true,
    };
    let requests = requests(begin, painter.applied.clone());
    let mut client = RegistryServiceClient::new(registry.clone());
    let mut stream = match tokio::time::timeout(SILENCE, client.watch(requests)).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return status,
        Err(_) => return Status::unavailable("the registry does not answer"),
    };
    loop {
        match tokio::time::timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(message))) => painter.picture.send_modify(|picture| position.apply(message, picture)),
            Ok(Ok(None)) => return Status::unavailable("the registry ended the stream"),
            Ok(Err(status)) => return status,
            Err(_) => return Status::unavailable("the registry is silent"),
        }
    }
}

/// What a watch sends: where it begins, and then everything that was applied, at once.
fn requests(begin: WatchRequest, mut applied: watch::Receiver<Mark>) -> impl Stream<Item = WatchRequest> {
    applied.mark_unchanged();
    futures_util::stream::unfold((Some(begin), applied), async |(begin, mut applied)| {
        if let Some(begin) = begin {
            return Some((begin, (None, applied)));
        }
        applied.changed().await.ok()?;
        let Mark { epoch, revision } = applied.borrow_and_update().clone();
        Some((WatchRequest { epoch, revision, ..Default::default() }, (None, applied)))
    })
}

impl Position {
    fn apply(&mut self, message: WatchResponse, picture: &mut Picture) {
        let new_epoch = self.mark.epoch != message.epoch;
        match message.event {
            Some(Event::Reset(_)) => self.arriving = Some(BTreeMap::new()),
            Some(Event::Snapshot(snapshot)) => {
                let arriving = self.arriving.get_or_insert_default();
                arriving.extend(snapshot.instances.iter().filter_map(seen));
            }
            Some(Event::SnapshotEnd(_)) => self.replace(picture, message.warming && new_epoch),
            Some(Event::Delta(delta)) => {
                self.parts.extend(delta.changed);
                if delta.more {
                    return;
                }
                let changed = std::mem::take(&mut self.parts);
                self.change(&changed, picture);
            }
            Some(Event::Bookmark(_)) | None => {}
        }
        if self.arriving.is_some() {
            // A broken snapshot is asked for again from its beginning. Before its end nothing is known:
            // a first one that only began must not look like a service without instances.
            return;
        }
        picture.heard = Some(Instant::now());
        self.mark = Mark { epoch: message.epoch, revision: message.revision };
        picture.mark = self.mark.clone();
        if !message.warming {
            for id in std::mem::take(&mut self.unconfirmed).into_keys() {
                picture.instances.remove(&id);
            }
        }
    }

    fn replace(&mut self, picture: &mut Picture, keep_missing: bool) {
        let arrived = self.arriving.take().unwrap_or_default();
        let before = std::mem::replace(&mut picture.instances, arrived);
        if !keep_missing {
            self.unconfirmed.clear();
            return;
        }
        for (id, seen) in before {
            if let std::collections::btree_map::Entry::Vacant(vacant) = picture.instances.entry(id.clone()) {
                vacant.insert(seen.clone());
                self.unconfirmed.insert(id, seen);
            }
        }
    }

    fn change(&mut self, changed: &[Instance], picture: &mut Picture) {
        for instance in changed {
            self.unconfirmed.remove(&instance.instance_id);
            match seen(instance) {
                Some((id, seen)) => picture.instances.insert(id, seen),
                None => picture.instances.remove(&instance.instance_id),
            };
        }
    }
}

/// The id of an instance that has or takes calls, and what is seen of it.
fn seen(instance: &Instance) -> Option<(String, Seen)> {
    let rank = match (instance.state(), instance.suspect_reason()) {
        (InstanceState::Ready, SuspectReason::Unspecified) => Rank::Ready,
        (InstanceState::Ready, _) => Rank::Suspect,
        (InstanceState::Draining, _) => Rank::Resting,
        _ => return None,
    };
    let address = instance.address.parse().ok()?;
    let (weight, zone) = (instance.weight, instance.zone.clone());
    Some((instance.instance_id.clone(), Seen { address, rank, weight, zone }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::registry::{Bookmark, Delta, Reset, Snapshot, SnapshotEnd};

    fn instance(id: &str, state: InstanceState) -> Instance {
        Instance {
            instance_id: id.to_owned(),
            address: "127.0.0.1:1".to_owned(),
            state: state.into(),
            ..Default::default()
        }
    }

    fn message(epoch: &str, revision: u64, warming: bool, event: Event) -> WatchResponse {
        WatchResponse { epoch: epoch.to_owned(), revision, warming, event: Some(event), protected: false }
    }

    fn snapshot(position: &mut Position, picture: &mut Picture, epoch: &str, warming: bool, ids: &[&str]) {
        let instances = ids.iter().map(|id| instance(id, InstanceState::Ready)).collect();
        position.apply(message(epoch, 1, warming, Event::Reset(Reset {})), picture);
        position.apply(message(epoch, 1, warming, Event::Snapshot(Snapshot { instances })), picture);
        position.apply(message(epoch, 1, warming, Event::SnapshotEnd(SnapshotEnd {})), picture);
    }

    fn whole(changed: Vec<Instance>) -> Event {
        Event::Delta(Delta { changed, from_revision: 1, more: false })
    }

    #[test]
    fn a_first_snapshot_says_nothing_before_its_end() {
        let (mut position, mut picture) = (Position::default(), Picture::default());
        position.apply(message("e1", 1, false, Event::Reset(Reset {})), &mut picture);
        assert!(!picture.is_known_empty(), "its instances are on their way");

        position.apply(message("e1", 1, false, Event::SnapshotEnd(SnapshotEnd {})), &mut picture);
        assert!(picture.is_known_empty());
    }

    fn ids(picture: &Picture) -> Vec<&str> {
        picture.instances.keys().map(String::as_str).collect()
    }

    #[test]
    fn changes_follow_the_snapshot() {
        let (mut position, mut picture) = (Position::default(), Picture::default());
        snapshot(&mut position, &mut picture, "e1", false, &["a", "b"]);

        let changed = vec![instance("a", InstanceState::Down), instance("c", InstanceState::Ready)];
        position.apply(message("e1", 2, false, whole(changed)), &mut picture);

        assert_eq!(ids(&picture), ["b", "c"]);
        assert_eq!((position.mark.revision, picture.mark.revision), (2, 2));
    }

    #[test]
    fn a_change_in_parts_is_applied_when_its_last_part_is_here() {
        let (mut position, mut picture) = (Position::default(), Picture::default());
        snapshot(&mut position, &mut picture, "e1", false, &["a"]);
        let part = |id: &str, more| {
            let changed = vec![instance(id, InstanceState::Ready)];
            Event::Delta(Delta { changed, from_revision: 1, more })
        };

        position.apply(message("e1", 1, false, part("b", true)), &mut picture);
        assert_eq!((ids(&picture), picture.mark.revision), (vec!["a"], 1));

        position.apply(message("e1", 3, false, part("c", false)), &mut picture);
        assert_eq!((ids(&picture), picture.mark.revision), (vec!["a", "b", "c"], 3));
    }

    #[test]
    fn suspects_come_last_and_who_drains_gets_nothing_new() {
        let (mut position, mut picture) = (Position::default(), Picture::default());
        let doubtful = Instance { suspect_reason: SuspectReason::Silent.into(), ..instance("a", InstanceState::Ready) };
        let changed = vec![doubtful, instance("b", InstanceState::Draining), instance("c", InstanceState::Starting)];

        position.apply(message("e1", 2, false, whole(changed)), &mut picture);

        let ranks: Vec<Rank> = picture.instances.values().map(|seen| seen.rank).collect();
        assert_eq!(ranks, [Rank::Suspect, Rank::Resting]);
        assert!(!picture.is_empty());
        picture.instances.remove("a");
        assert!(picture.is_empty(), "nobody is left to call");
    }

    #[test]
    fn a_restarted_registry_takes_nobody_away_while_it_warms_up() {
        let (mut position, mut picture) = (Position::default(), Picture::default());
        snapshot(&mut position, &mut picture, "e1", false, &["a", "b"]);

        snapshot(&mut position, &mut picture, "e2", true, &["b"]);
        assert_eq!(ids(&picture), ["a", "b"]);

        position.apply(message("e2", 1, false, Event::Bookmark(Bookmark {})), &mut picture);
        assert_eq!(ids(&picture), ["b"]);
    }

    #[test]
    fn a_snapshot_without_warming_replaces_all() {
        let (mut position, mut picture) = (Position::default(), Picture::default());
        snapshot(&mut position, &mut picture, "e1", false, &["a"]);

        snapshot(&mut position, &mut picture, "e2", false, &["b"]);

        assert_eq!(ids(&picture), ["b"]);
    }
}
