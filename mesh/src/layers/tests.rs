//! What the inbound stack does to a request, and how it is taken apart and put together.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio_stream::StreamExt as _;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::*;
use crate::call::Call;
use crate::methods::Methods;
use crate::refusal::Refusal;
use crate::router::Routes;

/// A service whose methods answer, panic, hang, or do so in the middle of an answer.
#[derive(Clone)]
struct Specimen;

impl NamedService for Specimen {
    const NAME: &'static str = "rundoo.registry.v1.RegistryService";
}

impl tower::Service<Request<Body>> for Specimen {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, std::convert::Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(answer(request).await) })
    }
}

async fn answer(request: Request<Body>) -> Response<Body> {
    let call = request.extensions().get::<Call>().unwrap().clone();
    match request.headers().get("do").map_or("", |told| told.to_str().unwrap()) {
        "panic" => panic!("on purpose"),
        "hang" => std::future::pending().await,
        "panic later" => stream(futures_util::stream::poll_fn(|_| panic!("on purpose"))),
        "hang later" => stream(futures_util::stream::pending()),
        "fail later" => stream(futures_util::stream::empty().chain(once(Err(Status::aborted("stale"))))),
        "read badly" => Status::internal("failed to decode Protobuf message: bad").into_http(),
        "values" => {
            assert!(call.get::<Trace>().is_some() && call.get::<Caller>().is_some() && call.get::<Call>().is_some());
            assert_eq!(
                (call.get::<Deadline>(), call.get::<Permit>()),
                (Some(&Deadline(None)), Some(&Permit { beside: 1 }))
            );
            stream(once(Ok(Bytes::from_static(b"all"))))
        }
        "unimplemented" => Status::unimplemented("not yet").into_http(),
        "actor" => stream(once(Ok(call.actor().map_or("nobody", |actor| actor.as_str()).to_owned().into()))),
        "unit" => stream(once(Ok(call.get::<Unit>().map_or("none".into(), |unit| unit.0.clone().into())))),
        _ => stream(once(Ok(Bytes::from(call.caller().to_owned())))),
    }
}

fn once<T: Clone>(item: T) -> impl tokio_stream::Stream<Item = T> {
    futures_util::stream::iter([item])
}

/// An answer of gRPC: data, and then trailers with the status.
fn stream(parts: impl tokio_stream::Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Response<Body> {
    let frames = parts.map(|part| Ok::<_, Status>(part.map_or_else(|status| stage::trailers(&status), Frame::data)));
    let end = once(()).map(|()| Ok(stage::trailers(&Status::ok(""))));
    Response::new(Body::new(StreamBody::new(frames.chain(end))))
}

struct Unit(String);

fn shared() -> Shared {
    let stats = Arc::<Stats>::default();
    stats.offers(&Methods::read(&[proto::registry::DESCRIPTORS]));
    Shared { stats, spans: None, rate: None, policy: None, believed: ["portal".to_owned()].into() }
}

fn routes() -> crate::router::Router {
    let mut routes = Routes::default();
    routes.add(Specimen);
    routes.close()
}

/// A request for a unary method.
fn request(told: &'static str) -> Request<Body> {
    Request::post("/rundoo.registry.v1.RegistryService/Discover")
        .header("do", told)
        .header("x-request-id", "abc")
        .header("x-rundoo-caller", "portal/1")
        .body(Body::empty())
        .unwrap()
}

fn with_timeout(told: &'static str, timeout: &'static str) -> Request<Body> {
    let mut request = request(told);
    request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

async fn ask(layers: &Layers<impl Inbound>, request: Request<Body>) -> Response<Body> {
    tower::Layer::layer(layers, routes()).receive(request).await
}

/// The text of an answer and its status, wherever that is.
async fn end(response: Response<Body>) -> (String, Status) {
    let headers = response.headers().clone();
    let collected = response.into_body().collect().await.unwrap();
    let status = collected.trailers().and_then(Status::from_header_map).or_else(|| Status::from_header_map(&headers));
    (String::from_utf8(collected.to_bytes().to_vec()).unwrap(), status.unwrap())
}

fn ended(stats: &Stats) -> Vec<(String, u64)> {
    let counts = stats.inbound().into_iter().flat_map(|calls| calls.codes);
    counts.map(|count| (count.code, count.count)).collect()
}

#[tokio::test]
async fn the_handler_knows_its_caller_and_the_caller_gets_its_request_id_and_trace_back() {
    let mut request = request("");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.headers_mut().insert("traceparent", parent.parse().unwrap());

    let response = ask(&inbound(&shared()), request).await;

    assert_eq!(response.headers()["x-request-id"], "abc");
    let told = response.headers()["traceresponse"].to_str().unwrap();
    assert!(told.starts_with(&parent[..36]) && told[36..52] != parent[36..52], "{told}");
    assert_eq!(end(response).await.0, "portal/1");
}

#[tokio::test]
async fn a_person_is_believed_in_only_from_the_services_that_know_people() {
    for (caller, believed) in [("portal/1", "ann"), ("portal", "ann"), ("portals/1", "nobody"), ("/1", "nobody")] {
        let mut request = request("actor");
        request.headers_mut().insert("x-rundoo-caller", caller.parse().unwrap());
        request.headers_mut().insert("x-rundoo-actor", "ann".parse().unwrap());

        assert_eq!(end(ask(&inbound(&shared()), request).await).await.0, believed, "{caller}");
    }
}

#[tokio::test]
async fn a_panic_becomes_internal_with_the_request_id_also_while_the_answer_is_streamed() {
    for told in ["panic", "panic later"] {
        let shared = shared();

        let (_, status) = end(ask(&inbound(&shared), request(told)).await).await;

        assert_eq!(status.code(), Code::Internal, "{told}");
        assert_eq!(Refusal::metadata_of(&status, "request_id").as_deref(), Some("abc"), "{told}");
        assert_eq!(ended(&shared.stats), [("INTERNAL".to_owned(), 1)], "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_any_more_ends_as_deadline_exceeded_also_while_the_answer_is_streamed() {
    for told in ["hang", "hang later"] {
        let shared = shared();

        let (_, status) = end(ask(&inbound(&shared), with_timeout(told, "20m")).await).await;

        assert_eq!(status.code(), Code::DeadlineExceeded, "{told}");
        assert_eq!(ended(&shared.stats), [("DEADLINE_EXCEEDED".to_owned(), 1)], "{told}");
    }
    let (_, status) = end(ask(&inbound(&shared()), with_timeout("", "0m")).await).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_call_is_counted_by_the_status_in_its_trailers_and_as_cancelled_when_it_is_dropped() {
    let shared = shared();
    let layers = inbound(&shared);

    end(ask(&layers, request("fail later")).await).await;
    end(ask(&layers, request("")).await).await;
    drop(ask(&layers, request("hang later")).await);
    drop(tower::Layer::layer(&layers, routes()).receive(request("hang")));

    let expected = [("OK", 1), ("CANCELLED", 2), ("ABORTED", 1)].map(|(code, count)| (code.to_owned(), count));
    assert_eq!(ended(&shared.stats), expected);
    let calls = &shared.stats.inbound()[0];
    assert_eq!((calls.peer.as_str(), calls.in_flight, calls.sent_bytes), ("portal", 0, 8));
    assert_eq!(shared.stats.concurrency().in_flight, 0, "every place is free again");
}

#[tokio::test]
async fn each_value_that_the_stack_says_it_provides_is_there_in_every_call() {
    assert_eq!(end(ask(&inbound(&shared()), request("values")).await).await.0, "all");
}

#[tokio::test]
async fn what_a_handler_has_not_implemented_is_its_own_to_say() {
    let (_, status) = end(ask(&inbound(&shared()), request("unimplemented")).await).await;

    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "not yet"));
}

#[tokio::test]
async fn what_the_transport_refuses_gets_a_reason() {
    let layers = inbound(&shared());
    let mut unknown = request("");
    *unknown.uri_mut() = "/no.Service/Method".parse().unwrap();

    let (_, unreadable) = end(ask(&layers, request("read badly")).await).await;
    let (_, unknown) = end(ask(&layers, unknown).await).await;

    assert_eq!((unreadable.code(), unknown.code()), (Code::InvalidArgument, Code::Unimplemented));
    assert_eq!(Refusal::reason(&unreadable).as_deref(), Some("UNREADABLE_MESSAGE"));
    assert_eq!(Refusal::reason(&unknown).as_deref(), Some("UNKNOWN_METHOD"));
}

#[tokio::test]
async fn more_calls_than_the_limit_are_refused_at_once_and_health_is_not() {
    let shared = shared();
    let bounds = Limits { first: 2, least: 2, most: 2, ..Limits::default() };
    let layers = inbound(&shared).replace(limit(&shared, bounds));
    let mut service = tower::Layer::layer(&layers, routes());
    // They arrive when the connection hands them over, though no task has looked at them.
    let waiting = [service.receive(request("hang")), service.receive(request("hang"))];

    let (_, refused) = end(service.receive(request("")).await).await;
    let mut health = request("");
    *health.uri_mut() = "/grpc.health.v1.Health/Check".parse().unwrap();
    let (_, health) = end(service.receive(health).await).await;
    drop(waiting);
    let (_, answered) = end(service.receive(request("")).await).await;

    assert_eq!((refused.code(), answered.code()), (Code::ResourceExhausted, Code::Ok));
    assert_eq!(Refusal::reason(&refused).as_deref(), Some("OVERLOADED"));
    assert!(Refusal::retry_delay(&refused).is_some());
    assert_ne!(health.code(), Code::ResourceExhausted);
    assert_eq!(shared.stats.concurrency().refused, 1);
}

#[tokio::test]
async fn a_caller_that_calls_too_often_is_told_when_to_come_again() {
    let shared = Shared { rate: NonZeroU32::new(2), ..shared() };
    let layers = inbound(&shared);

    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(end(ask(&layers, request("")).await).await.1.code());
    }
    let mut other = request("");
    other.headers_mut().insert("x-rundoo-caller", "another/1".parse().unwrap());

    assert_eq!(codes, [Code::Ok, Code::Ok, Code::ResourceExhausted]);
    assert_eq!(end(ask(&layers, other).await).await.1.code(), Code::Ok, "each caller has its own rate");
}

#[tokio::test]
async fn a_service_adds_a_layer_that_provides_a_value_and_a_test_replaces_it() {
    let unit = |name: &'static str| provide("unit of work", async move |_, _| Ok(Unit(name.to_owned())));
    let layers = inbound(&shared()).layer(unit("real"));
    let _key: Key<Unit> = layers.key();
    let names: Vec<_> = layers.describe().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "trace",
            "caller",
            "metrics",
            "policy",
            "deadline",
            "call",
            "rate",
            "limit",
            "refusals",
            "panics",
            "unit of work"
        ]
    );

    let real = end(ask(&layers, request("unit")).await).await.0;
    let replaced = end(ask(&layers.replace(unit("test")), request("unit")).await).await.0;

    assert_eq!((real.as_str(), replaced.as_str()), ("real", "test"));
}

#[tokio::test]
async fn a_layer_is_decorated_by_one_that_sees_its_value_and_supplies_another() {
    let decoration = provide("capitals", async |call: Call, _| Ok(Caller::read(Some(&call.caller().to_uppercase()))));

    let layers = inbound(&shared()).decorate::<Caller, _, _>(decoration);

    assert_eq!(layers.describe()[2].0, "capitals");
    assert_eq!(end(ask(&layers, request("")).await).await.0, "PORTAL/1");
}

#[tokio::test]
async fn a_value_that_cannot_be_provided_refuses_the_request() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let layers = inbound(&shared())
        .layer(provide("tenant", async |_, _| Err::<Unit, _>(Status::permission_denied("no tenant"))))
        .around(
            "counts",
            tower::layer::layer_fn(|inner| {
                SEEN.fetch_add(1, Ordering::Relaxed);
                inner
            }),
        );

    let (_, status) = end(ask(&layers, request("unit")).await).await;

    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(SEEN.load(Ordering::Relaxed), 1, "any tower layer has a place");
}

#[tokio::test(start_paused = true)]
async fn a_value_made_late_is_within_the_deadline() {
    let slow = provide("slow", async |_, _| {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(Unit("late".to_owned()))
    });

    let (_, status) = end(ask(&inbound(&shared()).layer(slow), with_timeout("unit", "1S")).await).await;

    assert_eq!(status.code(), Code::DeadlineExceeded);
}
