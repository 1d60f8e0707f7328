//! Deadlines, kept by the server: a caller that has no timer of its own is told in time too.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use harness::specimen::GatherRequest;
use harness::{Specimens, eventually};
use tonic::{Code, Request};

use super::raw::{Last, Raw};
use super::{ECHO, EMIT, ENDLESS, GATHER, MINUTE, echo, numbers, reason, waiting};

/// Waits until so many handlers have begun.
async fn begun(specimens: &Specimens, wanted: u64) {
    eventually("the handlers have begun", async || {
        let begun = specimens.report(0).await?.begun;
        anyhow::ensure!(begun == wanted, "{begun} of {wanted}");
        Ok(())
    })
    .await;
}

/// Waits until so many handlers were dropped before their end.
async fn dropped(specimens: &Specimens, wanted: u64) {
    eventually("their work has ended", async || {
        let dropped = specimens.report(0).await?.dropped;
        anyhow::ensure!(dropped == wanted, "{dropped} of {wanted}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_takes_too_long_is_answered_at_its_deadline_by_the_server() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;

    let late = raw.ask(ECHO, &[("grpc-timeout", "100m")], &echo(waiting(MINUTE))).await?;

    assert_eq!(late.only_code(), Some(Code::DeadlineExceeded), "{late:?}");
    assert_eq!(reason(&late.status()?).1, "DEADLINE_EXCEEDED");
    dropped(&specimens, 1).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_ended_at_its_deadline_after_what_was_sent_in_time() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;

    let late = raw.ask(EMIT, &[("grpc-timeout", "500m")], &numbers(ENDLESS)).await?;

    assert_eq!(late.last_code(), Some(Code::DeadlineExceeded), "{late:?}");
    assert!(late.bytes > 0, "{late:?}");
    assert_eq!(reason(&late.status()?).1, "DEADLINE_EXCEEDED");
    dropped(&specimens, 1).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_never_ends_its_own_stream_is_answered_at_its_deadline() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;

    let mut call = raw.call(GATHER, &[("grpc-timeout", "100m")]).await?;
    call.send(&GatherRequest {}, Last::No)?;
    let late = call.answer().await?.whole().await?;

    assert_eq!(late.only_code(), Some(Code::DeadlineExceeded), "{late:?}");
    dropped(&specimens, 1).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_has_passed_already_is_refused_before_any_work() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;
    let before = specimens.report(0).await?.begun;

    for none in ["0m", "0n", "0H"] {
        let late = raw.ask(ECHO, &[("grpc-timeout", none)], &echo(Default::default())).await?;
        assert_eq!(late.only_code(), Some(Code::DeadlineExceeded), "{none}: {late:?}");
    }

    assert_eq!(specimens.report(0).await?.begun, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_that_cannot_be_read_is_none() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;

    for nonsense in ["", "5", "-5S", "5x", "123456789n"] {
        let answer = raw.ask(ECHO, &[("grpc-timeout", nonsense)], &echo(Default::default())).await?;
        assert_eq!(answer.last_code(), Some(Code::Ok), "{nonsense:?}: {answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_quicker_with_its_status_than_the_timer_of_a_tonic_client() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut client = specimens.plain(0).await?;

    // On a machine that does ten other things some are lost to them, and sometimes a whole round.
    eventually("most of a hundred hear of it from the server", async || {
        let mut wrong = Vec::new();
        for _ in 0..100 {
            let mut request = Request::new(echo(waiting(MINUTE)));
            let timeout = Duration::from_millis(fastrand::u64(5..=50));
            request.set_timeout(timeout);
            let late = client.echo(request).await.err().context("it takes a minute")?;
            if late.code() != Code::DeadlineExceeded {
                wrong.push((timeout, late.code()));
            }
        }
        anyhow::ensure!(wrong.len() <= 20, "{} do not: {wrong:?}", wrong.len());
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_stops_when_nobody_waits_for_it_any_more() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let before = specimens.report(0).await?.begun;

    // Whoever calls is gone: the task, the stream, the whole connection.
    let mut plain = specimens.plain(0).await?;
    let call = mesh::spawn("caller", async move { plain.echo(echo(waiting(MINUTE))).await.map(drop) });
    let raw = Raw::connect(specimens.address(0)?).await?;
    let mut reset = raw.call(ECHO, &[]).await?;
    reset.send(&echo(waiting(MINUTE)), Last::Yes)?;
    let mut stream = specimens.plain(0).await?.emit(numbers(ENDLESS)).await?.into_inner();
    stream.message().await?.context("a number")?;
    begun(&specimens, before + 3).await;
    assert_eq!(specimens.report(0).await?.dropped, 0);

    call.abort();
    reset.reset();
    drop(stream);

    dropped(&specimens, 3).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_stops_when_the_channel_that_asked_for_it_stops_waiting() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;

    let late = join_all((0..20).map(|_| {
        let mut client = specimens.client();
        async move {
            let mut request = Request::new(echo(waiting(MINUTE)));
            request.set_timeout(Duration::from_secs(2));
            client.echo(request).await
        }
    }))
    .await;

    for answer in late {
        assert_eq!(reason(&answer.expect_err("it takes a minute")).1, "DEADLINE_EXCEEDED");
    }
    dropped(&specimens, 20).await;
    Ok(())
}
