//! What the portal asks of each instance by itself: what it counted of its calls.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use mesh::{Channel, Mesh};
use proto::{
    mesh::{GetStatsRequest, Stats, mesh_service_client::MeshServiceClient},
    registry::Instance,
};
use tonic::{Request, Status};
use tracing::debug;

use crate::backends::Backends;

/// How long one instance may take. It answers from memory: one that takes longer hangs.
pub(super) const DEADLINE: Duration = Duration::from_secs(1);

/// How long all of them may take. Prometheus waits 10 s unless told otherwise, and the
/// registry was asked before.
const DEADLINE_OF_ALL: Duration = Duration::from_secs(6);

/// How many are asked at the same time, so that a large mesh does not answer in one burst.
const AT_ONCE: usize = 32;

/// Channels that are kept. Each has a descriptor, of which many machines give a process 1,024,
/// and the pages need most of those.
const MAX_KEPT: usize = 256;

/// An instance, and what it says of itself.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) instance: Instance,
    /// None when it did not answer.
    pub(crate) stats: Option<Stats>,
}

/// Channels to single instances, which would be opened anew for each question otherwise.
#[derive(Debug)]
pub(crate) struct Channels {
    mesh: Mesh,
    kept: Mutex<HashMap<SocketAddr, Channel>>,
}

impl Backends {
    /// What each of these instances counted, in no order.
    pub(crate) async fn reports(&self, instances: Vec<Instance>) -> Vec<Report> {
        self.reports_within(instances, DEADLINE_OF_ALL).await
    }

    /// The same; who has not answered after `limit` is reported without an answer.
    pub(crate) async fn reports_within(&self, instances: Vec<Instance>, limit: Duration) -> Vec<Report> {
        self.channels.keep_only(&instances.iter().filter_map(|instance| instance.address.parse().ok()).collect());
        let end = Instant::now() + limit;
        stream::iter(instances).map(|instance| self.report(instance, end)).buffer_unordered(AT_ONCE).collect().await
    }

    /// What one instance counted; none when it does not answer.
    pub(crate) async fn counted(&self, instance: &Instance) -> Option<Stats> {
        self.stats(instance, Instant::now() + DEADLINE).await.ok()
    }

    /// A client of one instance.
    pub(super) fn instance_client(&self, instance: &Instance) -> Result<MeshServiceClient<Channel>, Status> {
        let address = instance.address.parse().map_err(|_| Status::internal("its address is not IP:port"))?;
        Ok(MeshServiceClient::new(self.channels.to(address)))
    }

    async fn report(&self, instance: Instance, end: Instant) -> Report {
        let stats = self.stats(&instance, end).await;
        if let Err(cause) = &stats {
            let Instance { service, instance_id, address, .. } = &instance;
            debug!("{service}/{instance_id} at {address} told no metrics: {cause}");
        }
        Report { instance, stats: stats.ok() }
    }

    async fn stats(&self, instance: &Instance, end: Instant) -> Result<Stats, Status> {
        let mut request = Request::new(GetStatsRequest {});
        request.set_timeout(DEADLINE.min(end.saturating_duration_since(Instant::now())));
        let answer = self.instance_client(instance)?.get_stats(request).await?;
        let stats = answer.into_inner().stats.unwrap_or_default();
        // A new process may have the address of one that the registry has not missed yet.
        if (&stats.service, &stats.instance_id) != (&instance.service, &instance.instance_id) {
            return Err(Status::internal(format!("{}/{} is there instead", stats.service, stats.instance_id)));
        }
        Ok(stats)
    }
}

impl Channels {
    /// None yet.
    pub(crate) fn of(mesh: &Mesh) -> Channels {
        Channels { mesh: mesh.clone(), kept: Mutex::default() }
    }

    /// A channel to this address; past [`MAX_KEPT`] it is for one use.
    fn to(&self, address: SocketAddr) -> Channel {
        let mut kept = self.lock();
        if let Some(channel) = kept.get(&address) {
            return channel.clone();
        }
        let channel = self.mesh.instance(address);
        if kept.len() < MAX_KEPT {
            kept.insert(address, channel.clone());
        }
        channel
    }

    /// Lets go of the channels to other addresses than these.
    fn keep_only(&self, addresses: &HashSet<SocketAddr>) {
        self.lock().retain(|address, _| addresses.contains(address));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Channel>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses where nobody is.
    fn nobody(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 1, 1, 1], port))
    }

    fn channels() -> Channels {
        Channels::of(&Mesh::client(&[nobody(1).to_string()]))
    }

    #[tokio::test]
    async fn channels_to_those_who_left_are_let_go() {
        let channels = channels();
        for port in [1, 2, 2, 3] {
            channels.to(nobody(port));
        }

        channels.keep_only(&HashSet::from([nobody(2), nobody(4)]));

        assert_eq!(channels.lock().keys().collect::<Vec<_>>(), [&nobody(2)]);
    }

    #[tokio::test]
    async fn no_more_channels_are_kept_than_there_is_room_for() {
        let channels = channels();
        for port in 1..=300 {
            channels.to(nobody(port));
        }

        assert_eq!(channels.lock().len(), MAX_KEPT);
    }

    #[tokio::test]
    async fn who_cannot_be_asked_is_reported_all_the_same() {
        let backends = Backends::of(&Mesh::client(&[nobody(1).to_string()]));
        let at = |address: &str| Instance { address: address.into(), ..Instance::default() };

        let reports = backends.reports(vec![at("127.1.1.1:1"), at("nowhere")]).await;

        assert_eq!(reports.len(), 2);
        assert!(reports.iter().all(|report| report.stats.is_none()));
    }
}
