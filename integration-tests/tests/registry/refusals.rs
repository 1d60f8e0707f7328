//! Bad input: every field empty, oversized, duplicated or wrong is a named status, and nothing breaks.

use anyhow::Context as _;
use harness::dynamic;
use mesh::Refusal;
use proto::registry::{
    DeregisterRequest, DiscoverRequest, DrainRequest, HeartbeatRequest, Lease, ListEventsRequest, ListWatchersRequest,
    Load, MoveRequest, Probe, RegisterRequest, TimeToLive, UndrainRequest, WatchEventsRequest, WatchRequest,
};
use tonic::{Code, Status};

use super::{lease, only_registry, registration};

const LONG: fn(usize) -> String = |length| "x".repeat(length);

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn check(refused: &Status, code: Code, reason: &str, field: Option<&str>) {
    let fields: Vec<String> = Refusal::fields(refused).into_iter().map(|(field, _)| field).collect();
    assert_eq!((refused.code(), Refusal::reason(refused).as_deref()), (code, Some(reason)), "{refused:?}");
    assert!(field.is_none_or(|field| fields.iter().any(|named| named == field)), "{field:?} is not among {fields:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_registration_is_refused_by_the_name_of_its_field() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let good = registration("a");
    let bad_probe = |service: String, period| Some(Probe { service, period });
    let cases = [
        ("service", RegisterRequest { service: String::new(), ..good.clone() }),
        ("service", RegisterRequest { service: LONG(64), ..good.clone() }),
        ("service", RegisterRequest { service: "Tests!".into(), ..good.clone() }),
        ("instance_id", RegisterRequest { instance_id: String::new(), ..good.clone() }),
        ("instance_id", RegisterRequest { instance_id: LONG(65), ..good.clone() }),
        ("instance_id", RegisterRequest { instance_id: "a b\u{7}".into(), ..good.clone() }),
        ("instance_id", RegisterRequest { instance_id: "..".into(), ..good.clone() }),
        ("boot_nonce", RegisterRequest { boot_nonce: 0, ..good.clone() }),
        ("address", RegisterRequest { address: String::new(), ..good.clone() }),
        ("address", RegisterRequest { address: "localhost:80".into(), ..good.clone() }),
        ("address", RegisterRequest { address: "127.0.0.1:0".into(), ..good.clone() }),
        ("address", RegisterRequest { address: LONG(100_000), ..good.clone() }),
        ("version", RegisterRequest { version: LONG(65), ..good.clone() }),
        ("zone", RegisterRequest { zone: LONG(65), ..good.clone() }),
        ("weight", RegisterRequest { weight: 10_001, ..good.clone() }),
        ("state", RegisterRequest { state: 5, ..good.clone() }),
        ("state", RegisterRequest { state: -1, ..good.clone() }),
        ("metadata", RegisterRequest { metadata: [(LONG(4000), LONG(200))].into(), ..good.clone() }),
        ("metadata", RegisterRequest { metadata: (0..65).map(|n| (n.to_string(), LONG(1))).collect(), ..good.clone() }),
        ("required_services", RegisterRequest { required_services: vec!["UP".into()], ..good.clone() }),
        ("required_services", RegisterRequest { required_services: vec!["a".into(); 33], ..good.clone() }),
        ("links", RegisterRequest { links: [("http".to_owned(), LONG(201))].into(), ..good.clone() }),
        ("time_to_live", ttl(&good, seconds(0), None, None)),
        ("time_to_live", ttl(&good, None, seconds(301), None)),
        ("time_to_live", ttl(&good, seconds(9), None, seconds(8))),
        ("time_to_live", ttl(&good, None, seconds(-1), None)),
        ("probe", RegisterRequest { probe: bad_probe(String::new(), None), ..good.clone() }),
        ("probe", RegisterRequest { probe: bad_probe(String::new(), seconds(61)), ..good.clone() }),
        ("probe", RegisterRequest { probe: bad_probe(LONG(129), seconds(1)), ..good.clone() }),
    ];
    for (field, request) in cases {
        let refused = registry.register(request).await.expect_err(field);
        check(&refused, Code::InvalidArgument, "INVALID_FIELD", Some(field));
    }

    let refused = registry.register(RegisterRequest::default()).await.expect_err("everything is missing");
    let fields: Vec<String> = Refusal::fields(&refused).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["service", "instance_id", "boot_nonce", "address"]);
    registry.register(good).await?;
    Ok(())
}

fn ttl(
    good: &RegisterRequest,
    min: Option<prost_types::Duration>,
    want: Option<prost_types::Duration>,
    max: Option<prost_types::Duration>,
) -> RegisterRequest {
    RegisterRequest { time_to_live: Some(TimeToLive { min, want, max }), ..good.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_question_is_refused_by_the_name_of_its_field() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let (name, id) = (|| "tests".to_owned(), || "a".to_owned());
    let invalid = |refused: Status, field| check(&refused, Code::InvalidArgument, "INVALID_FIELD", Some(field));

    for (field, request) in [
        ("service", DiscoverRequest { service: "?".into(), ..Default::default() }),
        ("version", DiscoverRequest { version: LONG(65), ..Default::default() }),
        ("states", DiscoverRequest { states: vec![99], ..Default::default() }),
        ("states", DiscoverRequest { states: vec![1; 10_000], ..Default::default() }),
        ("page_size", DiscoverRequest { page_size: -1, ..Default::default() }),
        (
            "metadata",
            DiscoverRequest { metadata: (0..65).map(|n| (n.to_string(), LONG(1))).collect(), ..Default::default() },
        ),
    ] {
        invalid(registry.discover(request).await.expect_err(field), field);
    }
    let goodbye = DeregisterRequest { service: name(), instance_id: id(), incarnation: 1, drain_timeout: None };
    for (field, request) in [
        ("incarnation", DeregisterRequest { incarnation: 0, ..goodbye.clone() }),
        ("drain_timeout", DeregisterRequest { drain_timeout: seconds(61), ..goodbye.clone() }),
        ("drain_timeout", DeregisterRequest { drain_timeout: seconds(i64::MIN), ..goodbye.clone() }),
        ("instance_id", DeregisterRequest { instance_id: String::new(), ..goodbye.clone() }),
    ] {
        invalid(registry.deregister(request).await.expect_err(field), field);
    }
    let drain = DrainRequest { service: name(), instance_id: id(), drain_timeout: seconds(3600), down: false };
    invalid(registry.drain(drain).await.expect_err("too long"), "drain_timeout");
    invalid(registry.undrain(UndrainRequest::default()).await.expect_err("nobody"), "service");
    let stray = ListEventsRequest { instance_id: id(), ..Default::default() };
    invalid(registry.list_events(stray).await.expect_err("of which service?"), "instance_id");
    let stray = WatchEventsRequest { service: "?".into(), ..Default::default() };
    invalid(registry.watch_events(stray).await.expect_err("no service"), "service");
    invalid(registry.r#move(MoveRequest::default()).await.expect_err("nowhere"), "address");
    let many = WatchRequest { services: vec![name(); 65], ..Default::default() };
    invalid(registry.watch(tokio_stream::once(many)).await.expect_err("too many"), "services");

    let silent = registry.watch(tokio_stream::empty()).await.expect_err("it wants nothing");
    check(&silent, Code::InvalidArgument, "INVALID_FIELD", None);
    let token = ListWatchersRequest { page_token: "nonsense".into(), ..Default::default() };
    let refused = registry.list_watchers(token).await.expect_err("no token of ours");
    check(&refused, Code::InvalidArgument, "INVALID_PAGE_TOKEN", Some("page_token"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_or_not_the_living_one_is_told_so() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let of = |id: &str| ("tests".to_owned(), id.to_owned());

    let (service, instance_id) = of("nobody");
    let goodbye = DeregisterRequest { service, instance_id, incarnation: 7, drain_timeout: None };
    check(&registry.deregister(goodbye).await.expect_err("nobody"), Code::NotFound, "INSTANCE_NOT_FOUND", None);
    let (service, instance_id) = of("nobody");
    let drain = DrainRequest { service, instance_id, ..Default::default() };
    check(&registry.drain(drain).await.expect_err("nobody"), Code::NotFound, "INSTANCE_NOT_FOUND", None);
    let (service, instance_id) = of("nobody");
    let undrain = UndrainRequest { service, instance_id };
    check(&registry.undrain(undrain).await.expect_err("nobody"), Code::NotFound, "INSTANCE_NOT_FOUND", None);

    let incarnation = registry.register(registration("a")).await?.into_inner().incarnation;
    for wrong in [incarnation - 1, incarnation + 1, u64::MAX] {
        let (service, instance_id) = of("a");
        let goodbye = DeregisterRequest { service, instance_id, incarnation: wrong, drain_timeout: seconds(1) };
        let refused = registry.deregister(goodbye).await.expect_err("it is fenced");
        check(&refused, Code::FailedPrecondition, "STALE_INCARNATION", None);
    }

    // Alive, by its beat: nobody else may have its address.
    let beat = HeartbeatRequest { sequence: 1, leases: vec![lease("a", incarnation)] };
    let beats = tokio_stream::StreamExt::chain(tokio_stream::once(beat), tokio_stream::pending());
    let mut answers = registry.heartbeat(beats).await?.into_inner();
    answers.message().await?.context("an answer")?;
    let thief = RegisterRequest { address: registration("a").address, ..registration("thief") };
    check(&registry.register(thief).await.expect_err("it is taken"), Code::AlreadyExists, "ADDRESS_TAKEN", None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_beat_ends_its_stream_with_a_reason_and_harms_nobody() -> anyhow::Result<()> {
    let system = only_registry().await?;
    let mut registry = system.registry();
    let incarnation = registry.register(registration("a")).await?.into_inner().incarnation;
    let infinite = Load { requests_per_second: f64::INFINITY, ..Default::default() };
    let cases = [
        ("leases", vec![]),
        ("leases", vec![lease("a", incarnation); 65]),
        ("service", vec![Lease::default()]),
        ("state", vec![Lease { state: 5, ..lease("a", incarnation) }]),
        ("load", vec![Lease { load: Some(infinite), ..lease("a", incarnation) }]),
    ];
    for (field, leases) in cases {
        let beat = HeartbeatRequest { sequence: 1, leases };
        let mut answers = registry.heartbeat(tokio_stream::once(beat)).await?.into_inner();
        let refused = answers.message().await.expect_err(field);
        check(&refused, Code::InvalidArgument, "INVALID_FIELD", Some(field));
    }

    // The same lease twice in one beat is renewed twice.
    let beat = HeartbeatRequest { sequence: u64::MAX, leases: vec![lease("a", incarnation); 2] };
    let mut answers = registry.heartbeat(tokio_stream::once(beat)).await?.into_inner();
    let answer = answers.message().await?.context("an answer")?;
    assert_eq!((answer.sequence, answer.commands.len()), (u64::MAX, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_ends_its_stream_with_a_reason_too() -> anyhow::Result<()> {
    let system = only_registry().await?;
    for name in ["Heartbeat", "Watch"] {
        let method = dynamic::method(&format!("RegistryService/{name}"))?;
        let good = dynamic::requests(&method, if name == "Watch" { "{}" } else { r#"{"sequence": 1}"# })?;
        // Another message, whose bytes are none of this method's.
        let other = dynamic::method("RegistryService/ListEvents")?;
        let garbage = dynamic::requests(&other, r#"{"service": "xxxx", "pageToken": "xxxx"}"#)?;
        let requests: Vec<_> = if name == "Watch" { good.into_iter().chain(garbage).collect() } else { garbage };

        let mut answers = dynamic::call(system.mesh().registry(), &method, tokio_stream::iter(requests)).await?;
        let refused = loop {
            match answers.message().await {
                Ok(answer) => drop(answer.context("it ended without a reason")?),
                Err(refused) => break refused,
            }
        };

        check(&refused, Code::InvalidArgument, "INVALID_FIELD", None);
    }
    Ok(())
}
