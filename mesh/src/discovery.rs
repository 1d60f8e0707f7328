//! A live picture of a named service, through the registry's Watch.
//!
//! While the registry is away, the last picture stays. After a registry restarted,
//! instances that it does not list yet stay in the picture until it says that it
//! has warmed up, so that its restart takes nobody out of service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::watch_response::Event;
use proto::registry::{Instance, InstanceState, WatchRequest, WatchResponse};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::picture::Picture;

/// A bookmark comes every 5 s; twice that without a word is a dead stream.
const SILENCE: Duration = Duration::from_secs(11);

/// Where a watch stands: the last epoch and revision, and what is still to be confirmed.
#[derive(Debug, Default)]
struct Position {
    epoch: String,
    revision: u64,
    /// Instances of the snapshot that is being received.
    arriving: Option<BTreeMap<String, SocketAddr>>,
    /// Instances known from an earlier epoch that the warming registry has not listed yet.
    unconfirmed: BTreeMap<String, SocketAddr>,
}

/// Follows `service` for ever, keeping `picture` current.
pub(crate) async fn follow(registry: Channel, service: String, picture: watch::Sender<Picture>) {
    let mut position = Position::default();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
    loop {
        let before = position.revision;
        let broken = watch_once(&registry, &service, &picture, &mut position).await;
        tracing::debug!("watch of {service} ended: {}", broken.message());
        if position.revision != before {
            backoff.reset();
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Follows until the stream breaks, and says why it did.
async fn watch_once(
    registry: &Channel,
    service: &str,
    picture: &watch::Sender<Picture>,
    position: &mut Position,
) -> Status {
    position.arriving = None;
    let request =
        WatchRequest { services: vec![service.to_owned()], epoch: position.epoch.clone(), revision: position.revision };
    let mut stream = match RegistryServiceClient::new(registry.clone()).watch(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return status,
    };
    loop {
        match tokio::time::timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(message))) => picture.send_modify(|picture| position.apply(message, picture)),
            Ok(Ok(None)) => return Status::unavailable("the registry ended the stream"),
            Ok(Err(status)) => return status,
            Err(_) => return Status::unavailable("the registry is silent"),
        }
    }
}

impl Position {
    fn apply(&mut self, message: WatchResponse, picture: &mut Picture) {
        picture.heard = Some(Instant::now());
        let new_epoch = self.epoch != message.epoch;
        match message.event {
            Some(Event::Reset(_)) => self.arriving = Some(BTreeMap::new()),
            Some(Event::Snapshot(snapshot)) => {
                let arriving = self.arriving.get_or_insert_default();
                arriving.extend(snapshot.instances.iter().filter_map(callable));
            }
            Some(Event::SnapshotEnd(_)) => self.replace(picture, message.warming && new_epoch),
            Some(Event::Delta(delta)) => self.change(&delta.changed, picture),
            Some(Event::Bookmark(_)) | None => {}
        }
        if self.arriving.is_some() {
            // A broken snapshot is asked for again from its beginning.
            return;
        }
        self.epoch = message.epoch;
        self.revision = message.revision;
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
        for (id, address) in before {
            if let std::collections::btree_map::Entry::Vacant(vacant) = picture.instances.entry(id.clone()) {
                vacant.insert(address);
                self.unconfirmed.insert(id, address);
            }
        }
    }

    fn change(&mut self, changed: &[Instance], picture: &mut Picture) {
        for instance in changed {
            self.unconfirmed.remove(&instance.instance_id);
            match callable(instance) {
                Some((id, address)) => picture.instances.insert(id, address),
                None => picture.instances.remove(&instance.instance_id),
            };
        }
    }
}

/// The id and address of an instance that takes calls.
fn callable(instance: &Instance) -> Option<(String, SocketAddr)> {
    let address = instance.address.parse().ok()?;
    (instance.state() == InstanceState::Ready).then(|| (instance.instance_id.clone(), address))
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
        WatchResponse { epoch: epoch.to_owned(), revision, warming, event: Some(event) }
    }

    fn snapshot(position: &mut Position, picture: &mut Picture, epoch: &str, warming: bool, ids: &[&str]) {
        let instances = ids.iter().map(|id| instance(id, InstanceState::Ready)).collect();
        position.apply(message(epoch, 1, warming, Event::Reset(Reset {})), picture);
        position.apply(message(epoch, 1, warming, Event::Snapshot(Snapshot { instances })), picture);
        position.apply(message(epoch, 1, warming, Event::SnapshotEnd(SnapshotEnd {})), picture);
    }

    fn ids(picture: &Picture) -> Vec<&str> {
        picture.instances.keys().map(String::as_str).collect()
    }

    #[test]
    fn changes_follow_the_snapshot() {
        let (mut position, mut picture) = (Position::default(), Picture::default());
        snapshot(&mut position, &mut picture, "e1", false, &["a", "b"]);

        let changed = vec![instance("a", InstanceState::Down), instance("c", InstanceState::Ready)];
        position.apply(message("e1", 2, false, Event::Delta(Delta { changed })), &mut picture);

        assert_eq!(ids(&picture), ["b", "c"]);
        assert_eq!(position.revision, 2);
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
