//! A bare tonic server, without anything of the mesh: what the benchmark compares with.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Answers every check.
struct Echo;

#[tonic::async_trait]
impl Health for Echo {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?.with_nodelay(Some(true));
    println!("serving gRPC on {}", incoming.local_addr()?);
    // Ends with whoever started it, as the services do.
    let ended = async {
        drop(tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await)
    };
    tonic::transport::Server::builder()
        .add_service(HealthServer::new(Echo))
        .serve_with_incoming_shutdown(incoming, ended)
        .await?;
    Ok(())
}
