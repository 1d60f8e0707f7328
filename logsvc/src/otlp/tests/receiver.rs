//! The surface, over a real socket; what no client would send goes to the service itself.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use mesh::Refusal;
use proto::otlp::collector::ExportLogsServiceRequest;
use proto::otlp::collector::logs_service_client::LogsServiceClient;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tower::Service as _;

use super::{request, saying};
use crate::error::Error;
use crate::otlp::Receiver;
use crate::shipment::Intake;
use crate::store::{self, Policy, Store};

struct Served {
    store: Store,
    client: LogsServiceClient<Channel>,
    _folder: tempfile::TempDir,
}

fn intake(store: Store) -> Intake {
    Intake { store, speakers: Default::default(), wishes: Default::default(), complaints: Default::default() }
}

async fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(store::real(), folder.path(), Policy::default()).unwrap();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(Receiver::new(intake(store.clone())));
    mesh::spawn("server", async move {
        server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)).await.unwrap();
    });
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    Served { store, client: LogsServiceClient::new(channel), _folder: folder }
}

fn messages(store: &Store) -> Vec<String> {
    store.read(0, 100).entries.into_iter().map(|entry| entry.record.message).collect()
}

#[tokio::test]
async fn what_is_answered_ok_is_stored_compressed_or_not() {
    let Served { store, mut client, _folder } = serve().await;

    let answer = client.export(request(saying("plain"))).await.unwrap();
    let mut gzip = client.clone().send_compressed(CompressionEncoding::Gzip);
    gzip.export(request(saying("small"))).await.unwrap();
    let empty = gzip.export(ExportLogsServiceRequest::default()).await.unwrap().into_inner();

    assert_eq!(messages(&store), ["plain", "small"]);
    assert_eq!((answer.metadata().get("grpc-encoding"), answer.get_ref().partial_success.clone()), (None, None));
    assert_eq!(empty.partial_success, None);
}

#[tokio::test]
async fn what_is_too_large_is_refused_for_good_also_when_it_is_small_on_the_wire() {
    let Served { mut client, .. } = serve().await;
    let huge = request(saying(&"x".repeat(64 * 1024 * 1024)));
    let large = request(saying(&"x".repeat(super::super::receiver::LARGEST)));

    let plain = client.export(large).await.expect_err("it is too large");
    let bomb = client.send_compressed(CompressionEncoding::Gzip).export(huge).await.expect_err("it is too large");

    for status in [plain, bomb] {
        assert_eq!((status.code(), Refusal::retry_delay(&status)), (Code::ResourceExhausted, None), "{status:?}");
        assert_eq!(Refusal::reason(&status).as_deref(), Some("MESSAGE_TOO_LARGE"));
    }
}

#[tokio::test]
async fn records_that_say_nothing_are_counted_and_told_apart() {
    let Served { store, mut client, _folder } = serve().await;
    let nothing = request(Default::default());
    let mut mixed = nothing.clone();
    mixed.resource_logs.extend(request(saying("something")).resource_logs);

    let partial = client.export(mixed).await.unwrap().into_inner().partial_success.expect("one is refused");
    let refused = client.export(nothing).await.expect_err("all are");

    assert_eq!((partial.rejected_log_records, messages(&store)), (1, vec!["something".to_owned()]));
    assert!(partial.error_message.contains("neither a body"), "{}", partial.error_message);
    assert_eq!((refused.code(), Refusal::retry_delay(&refused)), (Code::InvalidArgument, None));
}

#[tokio::test]
async fn what_cannot_be_decompressed_is_the_callers_fault() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(store::real(), folder.path(), Policy::default()).unwrap();
    let mut service = Receiver::new(intake(store));
    let mut export = async |encoding: &str| {
        let body = Body::new(Full::new(prost::bytes::Bytes::from_static(b"\x01\0\0\0\x04junk")));
        let request = http::Request::post("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .body(body)
            .unwrap();
        service.call(request).await.unwrap().into_parts().0.headers
    };

    let junk = export("gzip").await;
    let unknown = export("zstd").await;

    assert_eq!(Status::from_header_map(&junk).map(|status| status.code()), Some(Code::InvalidArgument));
    assert_eq!(Status::from_header_map(&unknown).map(|status| status.code()), Some(Code::Unimplemented));
    assert_eq!(unknown["grpc-accept-encoding"], "gzip,identity", "it says what it takes");
}

#[test]
fn what_passes_by_itself_says_when_to_come_again() {
    for error in [Error::DiskFull, Error::StorageFailed, Error::Stopping] {
        let status = Status::from(error);
        let wait = Refusal::retry_delay(&status);
        assert!(wait.is_some_and(|wait| wait >= Duration::from_secs(1)), "{status:?}");
    }
    assert_eq!(Status::from(Error::DiskFull).code(), Code::ResourceExhausted);
    assert_eq!(Status::from(Error::Stopping).code(), Code::Unavailable);
}
