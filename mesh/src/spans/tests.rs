//! Spans against a real collector, one that is away, and one that never answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};

use super::*;

/// Far more than stopping may take; only a hang is longer.
const HANG: Duration = Duration::from_secs(9);

struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).map_err(|_| Status::internal("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let (send, received) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(send)));
    crate::spawn("collector", server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, received)
}

fn span(span_id: u64) -> Span {
    Span {
        name: "test.v1.SpecimenService/Echo".to_owned(),
        kind: Kind::Server,
        trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
        span_id,
        parent_span_id: None,
        trace_state: None,
        began: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        ended: SystemTime::UNIX_EPOCH + Duration::from_secs(2),
        code: Code::NotFound,
        peer: "portal/0000abcd".to_owned(),
        request_id: "abc-1".to_owned(),
    }
}

fn start(address: SocketAddr) -> Exporter {
    Exporter::start(&format!("http://{address}"), "specimen", "0000beef", "1.2.3").unwrap()
}

fn values(attributes: Vec<KeyValue>) -> HashMap<String, Value> {
    attributes.into_iter().map(|attribute| (attribute.key, attribute.value.unwrap().value.unwrap())).collect()
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

#[tokio::test]
async fn a_collector_receives_spans_as_they_were_recorded() {
    let (address, mut received) = collector().await;
    let exporter = start(address);

    exporter.record(span(7));
    exporter.record(Span {
        kind: Kind::Client,
        parent_span_id: Some(7),
        trace_state: Some("congo=t61rcWkgMzE".to_owned()),
        ..span(8)
    });
    exporter.clone().stop().await;

    let mut resources = received.recv().await.unwrap().resource_spans;
    let mut group = resources.pop().unwrap();
    let resource = values(group.resource.unwrap().attributes);
    assert_eq!(resource.get("service.name").cloned(), text("specimen"));
    assert_eq!(resource.get("service.instance.id").cloned(), text("0000beef"));
    assert_eq!(resource.get("service.version").cloned(), text("1.2.3"));

    let scope = group.scope_spans.pop().unwrap();
    assert_eq!(scope.scope.unwrap().name, "rundoo-mesh");
    assert_eq!(scope.schema_url, CONVENTIONS);
    let [server, client] = <[_; 2]>::try_from(scope.spans).unwrap();
    assert_eq!(server.name, "test.v1.SpecimenService/Echo");
    assert_eq!(server.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    assert_eq!((server.span_id, server.parent_span_id), (7_u64.to_be_bytes().to_vec(), Vec::new()));
    assert_eq!((server.kind, client.kind), (SpanKind::Server as i32, SpanKind::Client as i32));
    assert_eq!((server.start_time_unix_nano, server.end_time_unix_nano), (1_000_000_000, 2_000_000_000));
    assert_eq!(client.trace_id, server.trace_id);
    assert_eq!((client.span_id, client.parent_span_id), (8_u64.to_be_bytes().to_vec(), 7_u64.to_be_bytes().to_vec()));
    assert_eq!((server.trace_state.as_str(), client.trace_state.as_str()), ("", "congo=t61rcWkgMzE"));
    // Not found is no fault of the server, but an error to its caller.
    assert_eq!(server.status.unwrap().code, StatusCode::Unset as i32);
    assert_eq!(client.status.unwrap().code, StatusCode::Error as i32);

    let attributes = values(server.attributes);
    assert_eq!(attributes.get("rpc.system").cloned(), text("grpc"));
    assert_eq!(attributes.get("rpc.service").cloned(), text("test.v1.SpecimenService"));
    assert_eq!(attributes.get("rpc.method").cloned(), text("Echo"));
    assert_eq!(attributes.get("rpc.grpc.status_code"), Some(&Value::IntValue(5)));
    assert_eq!(attributes.get("rundoo.peer").cloned(), text("portal/0000abcd"));
    assert_eq!(attributes.get("rundoo.request_id").cloned(), text("abc-1"));
    assert_eq!(exporter.lost(), 0);
}

#[tokio::test]
async fn spans_travel_before_the_process_stops_and_all_of_them_when_it_does() {
    let (address, mut received) = collector().await;
    let exporter = start(address);
    exporter.record(span(1));
    assert!(received.recv().await.is_some());

    let many = BATCH as u64 * 3 + 1;
    for id in 1..=many {
        exporter.record(span(id));
    }
    exporter.stop().await;

    let mut arrived = 0;
    while let Ok(request) = received.try_recv() {
        let batches = request.resource_spans.iter().flat_map(|group| &group.scope_spans);
        let sizes: Vec<usize> = batches.map(|batch| batch.spans.len()).collect();
        assert!(sizes.iter().all(|size| *size <= BATCH), "{sizes:?}");
        arrived += sizes.iter().sum::<usize>() as u64;
    }
    assert_eq!(arrived, many);
}

#[test]
fn it_starts_without_a_runtime_and_stops_when_nobody_listens() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exporter = start(address);
    exporter.record(span(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    runtime.block_on(async { tokio::time::timeout(HANG, exporter.clone().stop()).await.unwrap() });

    assert_eq!(exporter.lost(), 1);
    exporter.record(span(2));
    assert_eq!(exporter.lost(), 2);
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_exactly_the_spans() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = start(silent.local_addr().unwrap());
    let many = (QUEUE + BATCH) as u64 + 100;
    for id in 1..=many {
        exporter.record(span(id));
    }
    assert!((100..many).contains(&exporter.lost()), "{}", exporter.lost());

    tokio::time::timeout(HANG, exporter.clone().stop()).await.unwrap();

    assert_eq!(exporter.lost(), many);
}

#[tokio::test]
async fn an_endpoint_that_no_span_could_reach_is_refused() {
    for endpoint in ["", "collector:4317", "https://collector:4317", "unix:///tmp/collector", "http://"] {
        assert!(Exporter::start(endpoint, "a", "b", "c").is_err(), "{endpoint}");
    }
}

#[tokio::test]
async fn a_name_from_a_stranger_is_cut() {
    let (address, mut received) = collector().await;
    let exporter = start(address);

    exporter.record(Span { name: format!("a/{}", "é".repeat(5000)), ..span(1) });
    exporter.stop().await;

    let request = received.recv().await.unwrap();
    let name = &request.resource_spans[0].scope_spans[0].spans[0].name;
    assert_eq!(name.len(), LONGEST_NAME);
}

#[tokio::test]
async fn the_thread_ends_when_its_last_exporter_is_dropped() {
    let (address, mut received) = collector().await;
    let exporter = start(address);
    exporter.record(span(1));
    let ended = exporter.ended.clone();

    drop(exporter);

    tokio::time::timeout(HANG, ended.cancelled()).await.unwrap();
    assert!(received.recv().await.is_some());
}
