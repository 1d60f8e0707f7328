//! What a process does when more comes than it can do: it refuses early, and says when to come again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::load::Traffic;
use harness::specimen::{EchoRequest, Task};
use harness::{Specimens, eventually, health};
use mesh::Refusal;
use tonic::{Code, Status};

use super::raw::Raw;
use super::{ECHO, echo, reason};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overloaded_process_refuses_at_once_and_answers_about_itself_meanwhile() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[&[("SPECIMEN_STRICT", "true"), ("SPECIMEN_WORK_US", "3000")]]).await?;
    let (client, refusals) = (specimens.plain(0).await?, Arc::new(Mutex::new(Vec::<Status>::new())));
    let noted = refusals.clone();
    let traffic = Traffic::start(64, Duration::from_millis(5), move || {
        let (mut client, noted) = (client.clone(), noted.clone());
        async move {
            let answered = client.echo(EchoRequest::default()).await;
            Ok(answered.map(drop).inspect_err(|refused| {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(refused.clone());
            })?)
        }
    });

    eventually("calls are refused", async || {
        health::check(specimens.address(0)?).await?;
        let refused = specimens.stats(0).await?.concurrency.unwrap_or_default().refused;
        anyhow::ensure!(refused > 500, "{refused}");
        Ok(())
    })
    .await;
    let outcome = traffic.end().await;

    assert!(outcome.answered > 0, "some are answered all the time");
    let refusals = std::mem::take(&mut *refusals.lock().unwrap_or_else(PoisonError::into_inner));
    assert_eq!(outcome.failed, refusals.len() as u64);
    for refused in &refusals {
        assert_eq!(reason(refused), (Code::ResourceExhausted, "OVERLOADED".to_owned()), "{refused:?}");
        assert!(Refusal::retry_delay(refused).is_some_and(|wait| !wait.is_zero()), "{refused:?}");
    }
    let mut client = specimens.plain(0).await?;
    for _ in 0..50 {
        client.echo(EchoRequest::default()).await?;
    }
    eventually("no place is lost", async || {
        let concurrency = specimens.stats(0).await?.concurrency.unwrap_or_default();
        anyhow::ensure!(concurrency.in_flight == 0 && concurrency.limit >= 2, "{concurrency:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_does_not_arrive_holds_no_place_for_ever() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;
    let call = raw.call(ECHO, &[]).await?;

    let answer = call.answer().await?.whole().await?;

    assert_eq!(reason(&answer.status()?), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()), "{answer:?}");
    eventually("its place is free", async || {
        let concurrency = specimens.stats(0).await?.concurrency.unwrap_or_default();
        anyhow::ensure!(concurrency.in_flight == 0, "{concurrency:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_more_often_than_it_may_is_told_when_to_come_again_and_others_are_not() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[&[("RUNDOO_RATE_LIMIT", "5")]]).await?;
    let mut client = specimens.plain(0).await?;

    let mut refusals = Vec::new();
    for _ in 0..50 {
        let request = super::with(echo(Task::default()), &[("x-rundoo-caller", "greedy/1")])?;
        refusals.extend(client.echo(request).await.err());
    }

    assert!(!refusals.is_empty());
    for refused in &refusals {
        assert_eq!(reason(refused), (Code::ResourceExhausted, "RATE_LIMITED".to_owned()), "{refused:?}");
        let wait = Refusal::retry_delay(refused);
        assert!(wait.is_some_and(|wait| !wait.is_zero() && wait <= Duration::from_millis(200)), "{refused:?}");
    }
    client.echo(super::with(echo(Task::default()), &[("x-rundoo-caller", "modest/1")])?).await?;
    health::check(specimens.address(0)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_counted_out_unless_a_rate_is_set() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut client = specimens.plain(0).await?;

    for _ in 0..500 {
        client.echo(echo(Task::default())).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_comes_again_when_it_was_told_to() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[&[("RUNDOO_RATE_LIMIT", "5")]]).await?;
    let mut client = specimens.client();

    let mut repeated = 0;
    for _ in 0..10 {
        let answer = client.echo(echo(Task::default())).await?.into_inner();
        repeated += u32::from(answer.attempts_before > 0);
    }

    assert!(repeated > 0, "more than five at once are refused, and answered a while later");
    Ok(())
}
