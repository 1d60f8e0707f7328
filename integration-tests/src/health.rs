//! Asks `grpc.health.v1`.

use std::net::SocketAddr;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A plain connection to one process.
pub async fn connect(address: SocketAddr) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(Duration::from_secs(2));
    Ok(endpoint.connect().await?)
}

/// Fails unless the process at this address is SERVING.
pub async fn check(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = HealthClient::new(connect(address).await?);
    let status = client.check(HealthCheckRequest { service: String::new() }).await?.into_inner().status();
    anyhow::ensure!(status == ServingStatus::Serving, "it is {}", status.as_str_name());
    Ok(())
}
