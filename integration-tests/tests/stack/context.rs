//! Request id, trace, caller and deadline: taken or made, answered, logged, and passed on.

use std::time::Duration;

use anyhow::Context as _;
use harness::specimen::DESCRIPTORS;
use harness::specimen::specimen_service_client::SpecimenServiceClient;
use harness::system::{Role, System};
use harness::{Specimens, eventually, health};
use http::HeaderMap;
use mesh::Call;
use proto::products::CreateProductRequest;
use proto::products::product_service_client::ProductServiceClient;

use super::listener::Listener;
use super::raw::Raw;
use super::{MINUTE, echo, metadata, with};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Headers of a request that came in.
fn incoming() -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let sent = [("x-request-id", "my-own-id"), ("traceparent", PARENT), ("tracestate", "a=1,b=2")];
    for (name, value) in sent {
        headers.insert(name, value.parse()?);
    }
    Ok(headers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_knows_the_request_id_trace_and_caller_that_were_sent_and_the_answer_names_them() -> anyhow::Result<()>
{
    let specimens = Specimens::start(1).await?;
    let sent = [("x-request-id", "my-own-id"), ("traceparent", PARENT), ("x-rundoo-caller", "tests/1")];

    let answer = specimens.plain(0).await?.echo(with(echo(Default::default()), &sent)?).await?;

    assert_eq!(metadata(answer.metadata(), "x-request-id")?, "my-own-id");
    let position = metadata(answer.metadata(), "traceresponse")?;
    assert!(position.starts_with(&PARENT[..36]) && position.ends_with("-01"), "{position}");
    assert_ne!(position, PARENT, "the request is a position of its own");
    let known = answer.into_inner();
    assert_eq!((known.request_id.as_str(), known.trace_id.as_str()), ("my-own-id", TRACE_ID));
    assert_eq!((known.caller.as_str(), known.left), ("tests/1", None));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_none_or_nonsense_gets_new_ones() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut client = specimens.plain(0).await?;
    let nonsense = [("x-request-id", "a b; c"), ("traceparent", "00-nonsense-01"), ("x-rundoo-caller", "a b")];

    let mut seen = Vec::new();
    for sent in [&[][..], &nonsense, &[]] {
        let answer = client.echo(with(echo(Default::default()), sent)?).await?;
        let id = metadata(answer.metadata(), "x-request-id")?.to_owned();
        let position = metadata(answer.metadata(), "traceresponse")?.to_owned();
        let known = answer.into_inner();
        assert_eq!((known.request_id.as_str(), known.caller.as_str()), (id.as_str(), "unknown"));
        assert_eq!((id.len(), known.trace_id.len()), (36, 32));
        assert_eq!(position.split('-').nth(1), Some(known.trace_id.as_str()));
        seen.push((id, known.trace_id));
    }

    assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2], "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_the_request_too_also_when_there_is_no_such_method() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;

    let headers = [("x-request-id", "my-own-id"), ("traceparent", PARENT)];
    let unknown = raw.ask("no.such.Service/Method", &headers, &()).await?;

    assert_eq!(unknown.only_code(), Some(tonic::Code::Unimplemented), "{unknown:?}");
    let header = |name| unknown.head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("x-request-id"), "my-own-id");
    assert!(header("traceresponse").starts_with(&PARENT[..36]), "{unknown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_inherits_request_id_trace_and_what_is_left_of_the_deadline() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let call = Call::begin(&incoming()?).within(MINUTE);

    let mut client = specimens.client();
    let answer = call.clone().scope(client.echo(echo(Default::default()))).await?.into_inner();

    assert_eq!((answer.request_id.as_str(), answer.trace_id.as_str()), ("my-own-id", TRACE_ID));
    assert!(answer.caller.starts_with("client/"), "{}", answer.caller);
    let left = answer.left.as_ref().and_then(mesh::from_duration).context("it has a deadline")?;
    assert!(!left.is_zero() && left <= MINUTE, "{left:?}");

    // One that the caller set itself counts when it is shorter.
    let mut request = with(echo(Default::default()), &[])?;
    request.set_timeout(MINUTE / 2);
    let answer = call.scope(client.echo(request)).await?.into_inner();
    assert!(answer.left.as_ref().and_then(mesh::from_duration).is_some_and(|left| left <= MINUTE / 2), "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_carries_trace_state_and_the_callers_own_position() -> anyhow::Result<()> {
    let listener = Listener::answering(&[&[("grpc-status", "5")]]).await?;
    let channel = mesh::Channel::to_addresses("specimen", &[listener.address()], DESCRIPTORS);
    let call = Call::begin(&incoming()?).within(MINUTE);

    let refused = call.clone().scope(SpecimenServiceClient::new(channel).echo(echo(Default::default()))).await;

    assert_eq!(refused.expect_err("it refuses").code(), tonic::Code::NotFound);
    let heard = listener.heard().pop().context("it came")?;
    let header = |name: &str| heard.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!((header("x-request-id"), header("tracestate")), ("my-own-id", "a=1,b=2"));
    assert_eq!(header("traceparent"), format!("00-{TRACE_ID}-{:016x}-01", call.trace().span_id()));
    assert!(header("x-rundoo-caller").starts_with("client/") && !header("grpc-timeout").is_empty(), "{heard:?}");
    assert!(!heard.contains_key("grpc-previous-rpc-attempts"), "it is the first attempt");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_says_for_which_request_and_trace_it_was() -> anyhow::Result<()> {
    let mut system = System::prepare(Default::default())?;
    for role in [Role::Logs, Role::Registry, Role::Products(0)] {
        system.launch(role).await?;
    }
    let mut products = ProductServiceClient::new(health::connect(system.address(Role::Products(0))?).await?);
    let (name, category, sku) = ("Level".to_owned(), "Tools".to_owned(), "SKU-1".to_owned());
    let request = CreateProductRequest { name, category, sku, request_id: String::new(), ..Default::default() };

    let mut request = with(request, &[("x-request-id", "my-own-id"), ("traceparent", PARENT)])?;
    request.set_timeout(Duration::from_secs(20));
    products.create_product(request).await?;

    eventually("the record is there", async || {
        let log = system.app_log();
        let line = log.lines().find(|line| line.contains("created product")).context("nothing was created")?;
        let (id, trace) = ("request_id=my-own-id".to_owned(), format!("trace_id={TRACE_ID}"));
        anyhow::ensure!(line.contains(&id) && line.contains(&trace), "{line}");
        Ok(())
    })
    .await;
    Ok(())
}
