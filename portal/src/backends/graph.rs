//! What the portal asks of an instance by itself: what it is made of.

use std::net::SocketAddr;

use prost::Message;
use proto::{
    mesh::{GetGraphRequest, GetGraphResponse, GetStatsRequest},
    registry::Instance,
};
use tonic::Request;
use tracing::debug;

use crate::{
    backends::{Backends, stats::DEADLINE},
    error::Backend,
    grpcurl::{Command, Method},
};

const GET_GRAPH: Method = Method::new("rundoo.mesh.v1.MeshService/GetGraph");
const GET_STATS: Method = Method::new("rundoo.mesh.v1.MeshService/GetStats");

impl Backends {
    /// What an instance is made of; none when it does not answer.
    pub(crate) async fn graph(&self, instance: &Instance) -> Option<GetGraphResponse> {
        let Instance { service, instance_id, address, .. } = instance;
        let mut request = Request::new(GetGraphRequest {});
        request.set_timeout(DEADLINE);
        let answer = match self.instance_client(instance) {
            Ok(mut client) => client.get_graph(request).await.map(tonic::Response::into_inner),
            Err(cause) => Err(cause),
        };
        match answer {
            // A new process may have the address of one that the registry has not missed yet.
            Ok(graph) => ((&graph.service, &graph.instance_id) == (service, instance_id)).then_some(graph),
            Err(cause) => {
                debug!("{service}/{instance_id} at {address} did not say what it is made of: {cause}");
                None
            }
        }
    }
}

impl Backends {
    /// How grpcurl asks an instance itself for its graph; nothing when its address is none.
    pub(crate) fn graph_command(&self, instance: &Instance) -> Option<Command> {
        Some(command(instance, GET_GRAPH, &GetGraphRequest {})?.by(self.channel(Backend::Registry)))
    }

    /// The same for what it counted.
    pub(crate) fn stats_command(&self, instance: &Instance) -> Option<Command> {
        Some(command(instance, GET_STATS, &GetStatsRequest {})?.by(self.channel(Backend::Registry)))
    }
}

fn command(instance: &Instance, method: Method, request: &impl Message) -> Option<Command> {
    let address: SocketAddr = instance.address.parse().ok()?;
    Some(Command::new(&address.to_string(), method, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_becomes_part_of_a_command() {
        let at = |address: &str| Instance { address: address.into(), ..Instance::default() };

        let line = command(&at("[::1]:5053"), GET_GRAPH, &GetGraphRequest {}).unwrap().line;

        assert_eq!(line, "grpcurl -plaintext [::1]:5053 rundoo.mesh.v1.MeshService/GetGraph");
        assert_eq!(command(&at("x; reboot"), GET_STATS, &GetStatsRequest {}), None);
    }
}
