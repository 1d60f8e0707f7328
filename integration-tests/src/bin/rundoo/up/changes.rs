//! Shows what the registry sees: instances coming and going, with the reason.

use std::collections::HashMap;
use std::time::Duration;

use mesh::Mesh;
use owo_colors::AnsiColors;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::watch_response::Event;
use proto::registry::{Instance, InstanceState, SuspectReason, WatchRequest};

use crate::say;

/// Follows for ever, coming back when the registry does.
pub(crate) async fn follow(mesh: &Mesh) {
    let mut shown = Shown::default();
    let mut request = WatchRequest::default();
    let mut said_away = false;
    loop {
        let stream = RegistryServiceClient::new(mesh.registry()).watch(tokio_stream::once(request.clone())).await;
        if let Ok(stream) = stream {
            let mut stream = stream.into_inner();
            if std::mem::take(&mut said_away) {
                println!("{} the registry is back", say::clock());
            }
            while let Ok(Some(message)) = stream.message().await {
                (request.epoch, request.revision) = (message.epoch, message.revision);
                match message.event {
                    Some(Event::Snapshot(snapshot)) => {
                        snapshot.instances.iter().for_each(|instance| shown.show(instance))
                    }
                    Some(Event::SnapshotEnd(_)) => shown.began = true,
                    Some(Event::Delta(delta)) => delta.changed.iter().for_each(|instance| shown.show(instance)),
                    _ => {}
                }
            }
        }
        if !said_away {
            said_away = true;
            println!(
                "{} {}",
                say::clock(),
                say::coloured("the registry is away; everyone goes on with the last picture", AnsiColors::Red)
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
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
