//! Keeps the contracts current: whenever somebody comes to the mesh, that service is asked anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mesh::{Channel, Mesh};
use prost_reflect::DescriptorPool;
use proto::registry::{InstanceState, WatchEventsRequest, registry_service_client::RegistryServiceClient};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::{debug, info, warn};

use crate::{
    backends::Backends,
    gateway::{
        contracts::{Contracts, Offer},
        descriptors, reflection,
        route::Owner,
    },
};

/// The registry is no instance of its own list.
const REGISTRY: &str = "registry";

/// Services start together: one look for all of them.
const GATHER: Duration = Duration::from_millis(200);

/// How long a process may take to say what it offers.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before the registry, or a service, is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Who keeps the contracts current.
pub(crate) struct Follower {
    pub(crate) mesh: Mesh,
    pub(crate) backends: Backends,
    pub(crate) contracts: Contracts,
}

/// Instances of which the contract is known, by service.
type Asked = BTreeMap<String, BTreeSet<String>>;

impl Follower {
    /// Follows until the token.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        let mut asked = Asked::new();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = self.listen(&mut asked) => {
                    if let Err(status) = ended {
                        debug!("what services offer is not followed for a moment: {}", status.message());
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// Follows one stream of events to its end, or until a service could not be asked.
    async fn listen(&self, asked: &mut Asked) -> Result<(), Status> {
        let mut client = RegistryServiceClient::new(self.mesh.registry());
        let mut events = client.watch_events(WatchEventsRequest::default()).await?.into_inner();
        while self.look(asked).await {
            // Without an end to the call: the stream is idle for as long as nobody comes or goes.
            if events.message().await?.is_none() {
                return Ok(());
            }
            sleep(GATHER).await;
        }
        Ok(())
    }

    /// Asks each service of which an instance is new; whether all answered.
    async fn look(&self, asked: &mut Asked) -> bool {
        let Ok(census) = self.backends.census().await else { return false };
        let mut present = Asked::new();
        present.entry(REGISTRY.to_owned()).or_default().insert(String::new());
        for instance in census.instances {
            if instance.state() == InstanceState::Ready {
                present.entry(instance.service).or_default().insert(instance.instance_id);
            }
        }
        let mut all = true;
        for (service, instances) in present {
            if asked.get(&service).is_some_and(|known| instances.is_subset(known)) {
                continue;
            }
            if self.learn(&service).await {
                asked.insert(service, instances);
            } else {
                all = false;
            }
        }
        all
    }

    async fn learn(&self, service: &str) -> bool {
        let known = self.contracts.known();
        let known = known.offer(service);
        let channel = known.map_or_else(|| self.channel(service, &[]), |offer| offer.owner.channel.clone());
        let reflected = match timeout(PATIENCE, self.ask(channel.clone())).await {
            Ok(Ok(reflected)) => reflected,
            // It never will; asking again and again would keep others from being heard of.
            Ok(Err(status)) if matches!(status.code(), Code::Unimplemented | Code::PermissionDenied) => {
                warn!("{service} does not say what it offers: {}", status.message());
                return true;
            }
            Ok(Err(status)) => {
                debug!("{service} does not say what it offers: {}", status.message());
                return false;
            }
            Err(_) => return false,
        };
        if known.is_some_and(|offer| *offer.set == *reflected.descriptors) {
            return true;
        }
        let mut pool = DescriptorPool::new();
        if let Err(cause) = descriptors::add(&mut pool, &reflected.descriptors) {
            warn!("{service} reflects what is no contract: {cause}");
            return true;
        }
        // Again, with what says which of its methods may be repeated.
        let channel = self.channel(service, &reflected.descriptors);
        let owner = Owner { service: service.to_owned(), channel };
        let (services, set) = (reflected.services, reflected.descriptors.into());
        info!(service, "{service} offers {}", services.join(", "));
        self.contracts.learn(Offer { owner, set, pool, services });
        true
    }

    /// Asks once more when nobody was connected yet: the picture of a channel that was just made is still to come.
    async fn ask(&self, channel: Channel) -> Result<reflection::Reflected, Status> {
        let mut asked = reflection::ask(channel.clone()).await;
        for _ in 0..5 {
            if asked.is_ok() {
                break;
            }
            sleep(GATHER).await;
            asked = reflection::ask(channel.clone()).await;
        }
        asked
    }

    fn channel(&self, service: &str, descriptors: &[u8]) -> Channel {
        // Those that the pages ask have one already, with the contract that it was built with.
        self.backends.named(service).cloned().unwrap_or_else(|| self.mesh.discovered(service, descriptors))
    }
}
