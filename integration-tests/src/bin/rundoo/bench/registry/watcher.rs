//! A watch, and the picture that it gives.

use std::collections::BTreeMap;

use anyhow::Context as _;
use proto::registry::watch_response::Event;
use proto::registry::{Instance, InstanceState, WatchRequest, WatchResponse};
use tonic::Streaming;

use crate::bench::registry::node::Client;

/// Who is up, by service and instance.
pub(crate) type Picture = BTreeMap<(String, String), Instance>;

/// One watch.
pub(crate) struct Watcher {
    stream: Streaming<WatchResponse>,
    pub(crate) picture: Picture,
    pub(crate) epoch: String,
    pub(crate) revision: u64,
}

/// What was told by one change of the picture.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) revision: u64,
    /// Instances as they are now; nothing when the registry only says that it lives.
    pub(crate) changed: Vec<Instance>,
    /// The picture was replaced.
    pub(crate) is_reset: bool,
}

impl Watcher {
    /// Follows some services, or all; returns once the first picture is complete.
    pub(crate) async fn begin(client: Client, services: &[&str]) -> anyhow::Result<Self> {
        let mut watcher = Self::resume(client, services, (String::new(), 0)).await?;
        let first = watcher.next().await?;
        anyhow::ensure!(first.is_reset, "a new watch begins with {first:?}");
        Ok(watcher)
    }

    /// Follows from where another watch was.
    pub(crate) async fn resume(
        mut client: Client,
        services: &[&str],
        (epoch, revision): (String, u64),
    ) -> anyhow::Result<Self> {
        let services = services.iter().map(ToString::to_string).collect();
        let request = WatchRequest { services, epoch: epoch.clone(), revision, acknowledges: false };
        let stream = client.watch(tokio_stream::once(request)).await?.into_inner();
        Ok(Self { stream, picture: Picture::new(), epoch, revision })
    }

    /// The next thing that it is told, once all of it is here.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Told> {
        let mut told = Told::default();
        loop {
            let message = self.stream.message().await?.context("the registry ended the watch")?;
            match message.event {
                Some(Event::Reset(_)) => {
                    told = Told { is_reset: true, ..Told::default() };
                    continue;
                }
                Some(Event::Snapshot(part)) => {
                    told.changed.extend(part.instances);
                    continue;
                }
                Some(Event::Delta(delta)) => {
                    told.changed.extend(delta.changed);
                    if delta.more {
                        continue;
                    }
                }
                Some(Event::SnapshotEnd(_) | Event::Bookmark(_)) | None => {}
            }
            (self.epoch, self.revision, told.revision) = (message.epoch, message.revision, message.revision);
            self.apply(&mut told);
            return Ok(told);
        }
    }

    fn apply(&mut self, told: &mut Told) {
        let before = if told.is_reset { std::mem::take(&mut self.picture) } else { Picture::new() };
        for instance in &told.changed {
            let key = key(instance);
            match instance.state() {
                InstanceState::Down => drop(self.picture.remove(&key)),
                _ => drop(self.picture.insert(key, instance.clone())),
            }
        }
        // Whoever a new picture does not show is gone.
        let gone = before.into_iter().filter(|(key, _)| !self.picture.contains_key(key));
        told.changed.extend(gone.map(|(_, instance)| Instance { state: InstanceState::Down.into(), ..instance }));
    }

    /// How many take calls.
    pub(crate) fn ready(&self) -> usize {
        self.picture.values().filter(|instance| instance.state() == InstanceState::Ready).count()
    }

    /// Waits until so many take calls.
    pub(crate) async fn until_ready(&mut self, count: usize) -> anyhow::Result<()> {
        while self.ready() < count {
            self.next().await?;
        }
        Ok(())
    }
}

/// Names an instance.
pub(crate) fn key(instance: &Instance) -> (String, String) {
    (instance.service.clone(), instance.instance_id.clone())
}
