//! Asks addresses whether somebody is there, for the table.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use mesh::Mesh;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use crate::instances::{Finding, Now, Probe};
use crate::shared::Shared;

/// Addresses that are asked at the same time: far below the files that a process may open.
const AT_ONCE: usize = 256;

/// A neighbour takes a connection in microseconds and answers in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A process that is being killed may take one more connection before its door is gone.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(10);

/// Runs probes until stopped.
pub(crate) async fn run(
    (shared, mesh): (Shared, Mesh),
    mut probes: mpsc::UnboundedReceiver<Probe>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let probe = tokio::select! {
            probe = probes.recv() => probe,
            () = stop.cancelled() => return,
        };
        let Some(probe) = probe else { return };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (shared, mesh, stop) = (shared.clone(), mesh.clone(), stop.clone());
        mesh::spawn("probe", async move {
            tokio::select! {
                finding = ask(&mesh, probe.address, &probe.health_service) => {
                    shared.with(|instances| instances.probed(&probe, finding, Now::read()));
                }
                () = stop.cancelled() => {}
            }
            drop(place);
        });
    }
}

/// Dials an address and asks who takes the connection how it is doing.
async fn ask(mesh: &Mesh, address: SocketAddr, health_service: &str) -> Finding {
    for _ in 0..LOOKS {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => return Finding::Refused,
            Ok(Err(_)) | Err(_) => return Finding::Unreachable,
            Ok(Ok(_)) => {}
        }
        match check(mesh, address, health_service).await {
            Some(finding) => return finding,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
    Finding::Silent
}

/// Asks `grpc.health.v1`; nothing when the connection broke, so that it is worth another look.
async fn check(mesh: &Mesh, address: SocketAddr, service: &str) -> Option<Finding> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_TIMEOUT);
    let asked = async {
        let mesh = mesh.clone();
        let connector = service_fn(move |_| {
            let mesh = mesh.clone();
            async move { mesh.dial(address).await.map(TokioIo::new) }
        });
        let mut client = HealthClient::new(endpoint.connect_with_connector(connector).await.ok()?);
        client.check(HealthCheckRequest { service: service.to_owned() }).await.map_or_else(refused, |answer| {
            let serves = answer.into_inner().status() == ServingStatus::Serving;
            Some(if serves { Finding::Serving } else { Finding::NotServing })
        })
    };
    tokio::time::timeout(ANSWER_TIMEOUT, asked).await.unwrap_or(Some(Finding::Silent))
}

/// A refusal is an answer too: somebody is there.
fn refused(status: tonic::Status) -> Option<Finding> {
    match status.code() {
        // The server lives and has no health service.
        Code::Unimplemented => Some(Finding::Serving),
        // What was asked for is not there (yet).
        Code::NotFound => Some(Finding::NotServing),
        Code::Cancelled | Code::DeadlineExceeded => Some(Finding::Silent),
        Code::Unavailable | Code::Unknown | Code::Internal => None,
        _ => Some(Finding::Serving),
    }
}
