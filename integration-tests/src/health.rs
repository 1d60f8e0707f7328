//! Asks `grpc.health.v1`.

use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use mesh::Mesh;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A plain connection to one process.
pub async fn connect(address: SocketAddr) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(Duration::from_secs(2));
    Ok(endpoint.connect().await?)
}

/// A connection to one process as the mesh makes them: encrypted where that is.
pub async fn connect_by(mesh: &Mesh, address: SocketAddr) -> anyhow::Result<Channel> {
    let mesh = mesh.clone();
    let connector = tower::service_fn(move |_| {
        let mesh = mesh.clone();
        async move { mesh.dial(address).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(Duration::from_secs(5));
    Ok(endpoint.connect_with_connector(connector).await?)
}

/// Fails unless the process at this address is SERVING.
pub async fn check(address: SocketAddr) -> anyhow::Result<()> {
    check_on(connect(address).await?).await
}

/// The same on a connection that is open.
pub async fn check_on(connection: Channel) -> anyhow::Result<()> {
    let mut client = HealthClient::new(connection);
    let status = client.check(HealthCheckRequest { service: String::new() }).await?.into_inner().status();
    anyhow::ensure!(status == ServingStatus::Serving, "it is {}", status.as_str_name());
    Ok(())
}
