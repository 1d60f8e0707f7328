//! Repeating: on another instance, within a budget, when the contract and the server allow it.

use std::time::Duration;

use futures_util::future::join_all;
use harness::Specimens;
use harness::specimen::specimen_service_client::SpecimenServiceClient;
use harness::specimen::{DESCRIPTORS, EchoRequest, WriteRequest};
use http::HeaderMap;
use tonic::{Code, Request};

use super::listener::Listener;
use super::{echo, failing};

/// Answers UNAVAILABLE to each call, as a process does that is going away.
const FAILING: harness::specimens::Settings<'static> = &[("SPECIMEN_CODE", "14")];

fn attempts_before(headers: &HeaderMap) -> Option<&str> {
    headers.get("grpc-previous-rpc-attempts").and_then(|value| value.to_str().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_fails_is_repeated_elsewhere_and_says_how_often_it_was_tried() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[FAILING, &[]]).await?;

    let mut repeated = 0;
    for _ in 0..20 {
        // Together, or all of them would go to the one that is quicker.
        let answers = join_all((0..8).map(|_| {
            let mut client = specimens.client();
            async move { client.echo(EchoRequest::default()).await }
        }));
        for answer in answers.await {
            repeated += u32::from(answer?.into_inner().attempts_before == 1);
        }
    }

    assert!(repeated > 0, "none was tried at the one that fails");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_everybody_fails_they_get_little_more_calls_than_were_made() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[FAILING, FAILING, FAILING]).await?;
    let begun = async || -> anyhow::Result<u64> {
        let mut sum = 0;
        for number in 0..3 {
            sum += specimens.report(number).await?.begun;
        }
        Ok(sum)
    };
    let before = begun().await?;

    for _ in 0..100 {
        let answers = join_all((0..10).map(|_| {
            let mut client = specimens.client();
            async move { client.echo(EchoRequest::default()).await }
        }));
        for answer in answers.await {
            assert_eq!(answer.expect_err("all fail").code(), Code::Unavailable);
        }
    }

    let sent = begun().await? - before;
    assert!((1001..=1300).contains(&sent), "1000 calls became {sent}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write_is_repeated_by_its_request_id_and_sent_once_without_one() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[FAILING, FAILING]).await?;
    let begun = async || anyhow::Ok(specimens.report(0).await?.begun + specimens.report(1).await?.begun);
    let write = async |request_id: &str| {
        let request = WriteRequest { request_id: request_id.to_owned(), task: None };
        specimens.client().write(request).await.expect_err("both fail")
    };
    let before = begun().await?;

    for _ in 0..20 {
        assert_eq!(write("").await.code(), Code::Unavailable);
    }
    assert_eq!(begun().await? - before, 20);

    assert_eq!(write("a").await.code(), Code::Unavailable);
    assert_eq!(begun().await? - before, 25, "one call is tried five times at most");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_never_is_asked_once_and_one_that_says_later_is_asked_later() -> anyhow::Result<()> {
    let never = Listener::answering(&[&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")]]).await?;
    let later = Listener::answering(&[
        &[("grpc-status", "8"), ("grpc-retry-pushback-ms", "100")],
        &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "100")],
        &[("grpc-status", "5")],
    ])
    .await?;
    let busy = Listener::answering(&[&[("grpc-status", "8")]]).await?;
    let call = async |listener: &Listener| {
        let channel = mesh::Channel::to_addresses("specimen", &[listener.address()], DESCRIPTORS);
        SpecimenServiceClient::new(channel).echo(EchoRequest::default()).await.expect_err("it refuses").code()
    };

    let began = std::time::Instant::now();
    assert_eq!(call(&later).await, Code::NotFound);
    assert!(began.elapsed() >= Duration::from_millis(200), "it came twice before it was told to");
    assert_eq!(call(&never).await, Code::Unavailable);
    assert_eq!(call(&busy).await, Code::ResourceExhausted);

    let heard = later.heard();
    assert_eq!(heard.iter().map(attempts_before).collect::<Vec<_>>(), [None, Some("1"), Some("2")]);
    assert_eq!((never.heard().len(), busy.heard().len()), (1, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_kept_waiting_for_a_repetition_beyond_the_deadline() -> anyhow::Result<()> {
    let later = Listener::answering(&[&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "4000")]]).await?;
    let channel = mesh::Channel::to_addresses("specimen", &[later.address()], DESCRIPTORS);

    let mut request = Request::new(EchoRequest::default());
    request.set_timeout(Duration::from_secs(2));
    let refused = SpecimenServiceClient::new(channel).echo(request).await.expect_err("it refuses");

    assert_eq!(refused.code(), Code::Unavailable, "what is known is said at once: {refused:?}");
    assert_eq!(later.heard().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_would_be_the_same_elsewhere_is_not_repeated() -> anyhow::Result<()> {
    let specimens = Specimens::start(2).await?;
    let begun = async || anyhow::Ok(specimens.report(0).await?.begun + specimens.report(1).await?.begun);
    let before = begun().await?;

    // All but OK, RESOURCE_EXHAUSTED and UNAVAILABLE.
    let codes: Vec<Code> = (1..=16).filter(|code| ![8, 14].contains(code)).map(Code::from_i32).collect();
    for code in &codes {
        let refused = specimens.client().echo(echo(failing(*code))).await.expect_err("it refuses");
        assert_eq!(refused.code(), *code);
    }

    assert_eq!(begun().await? - before, codes.len() as u64);
    Ok(())
}
