//! Shows what the registry sees: instances coming and going, with the reason.

use std::collections::HashMap;
use std::time::Duration;

use mesh::Mesh;
use owo_colors::AnsiColors;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::watch_response::Event;
use proto::registry::{Instance, InstanceState, SuspectReason, WatchRequest, WatchResponse};
use tonic::{Status, Streaming};

use crate::say;

/// How long a registry that did not answer is left alone.
const RETRY: Duration = Duration::from_millis(200);

/// The registry's picture, followed from a first snapshot on.
pub(crate) struct Changes {
    mesh: Mesh,
    /// Where to go on.
    request: WatchRequest,
    shown: Shown,
}

impl Changes {
    pub(crate) fn new(mesh: Mesh) -> Self {
        Self { mesh, request: WatchRequest::default(), shown: Shown::default() }
    }

    /// Returns once the first snapshot is there: what changes from then on is shown.
    pub(crate) async fn begin(&mut self) -> Streaming<WatchResponse> {
        loop {
            if let Ok(mut stream) = self.watch().await {
                while let Ok(Some(message)) = stream.message().await {
                    self.take(message);
                    if self.shown.began {
                        return stream;
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Follows for ever, coming back when the registry does.
    pub(crate) async fn follow(mut self, mut stream: Streaming<WatchResponse>) {
        loop {
            while let Ok(Some(message)) = stream.message().await {
                self.take(message);
            }
            let text = say::coloured("the registry is away; everyone goes on with the last picture", AnsiColors::Red);
            println!("{} {text}", say::clock());
            stream = loop {
                tokio::time::sleep(RETRY).await;
                if let Ok(stream) = self.watch().await {
                    break stream;
                }
            };
            println!("{} the registry is back", say::clock());
        }
    }

    async fn watch(&self) -> Result<Streaming<WatchResponse>, Status> {
        let request = tokio_stream::once(self.request.clone());
        Ok(RegistryServiceClient::new(self.mesh.registry()).watch(request).await?.into_inner())
    }

    fn take(&mut self, message: WatchResponse) {
        (self.request.epoch, self.request.revision) = (message.epoch, message.revision);
        match message.event {
            Some(Event::Snapshot(snapshot)) => {
                snapshot.instances.iter().for_each(|instance| self.shown.show(instance));
            }
            Some(Event::SnapshotEnd(_)) => self.shown.began = true,
            Some(Event::Delta(delta)) => delta.changed.iter().for_each(|instance| self.shown.show(instance)),
            _ => {}
        }
    }
}

/// What was shown of each instance, so that nothing is said twice.
#[derive(Default)]
struct Shown {
    states: HashMap<(String, String), (InstanceState, SuspectReason)>,
    /// Whether the first snapshot has been received whole.
    began: bool,
}

impl Shown {
    fn show(&mut self, instance: &Instance) {
        let key = (instance.service.clone(), instance.instance_id.clone());
        let now = (instance.state(), instance.suspect_reason());
        if self.states.insert(key, now) == Some(now) {
            return;
        }
        // The first snapshot holds who has just been started and waited for.
        if !self.began {
            return;
        }
        println!("{}", sentence(instance));
    }
}

/// One change as a line.
pub(crate) fn sentence(instance: &Instance) -> String {
    let name = format!("{}/{}", instance.service, instance.instance_id);
    let state = instance.state().as_str_name().trim_start_matches("INSTANCE_STATE_");
    let time = say::clock();
    let words = |reason: &str, prefix: &str| reason.trim_start_matches(prefix).to_lowercase().replace('_', " ");
    match (instance.state(), instance.suspect_reason()) {
        (InstanceState::Down, _) => {
            let reason = words(instance.down_reason().as_str_name(), "DOWN_REASON_");
            format!("{time} {name} {}: {reason}", say::coloured("DOWN", AnsiColors::Red))
        }
        (InstanceState::Ready, SuspectReason::Unspecified) => {
            format!("{time} {name} {} at {}", say::coloured("UP", AnsiColors::Green), instance.address)
        }
        (_, SuspectReason::Unspecified) => format!("{time} {name} {state}"),
        (_, reason) => {
            let reason = words(reason.as_str_name(), "SUSPECT_REASON_");
            format!("{time} {name} {}: {reason}", say::coloured("SUSPECT", AnsiColors::Yellow))
        }
    }
}
