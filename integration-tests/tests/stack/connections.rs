//! Connections over time: they are replaced, drained and cut, and calls do not notice.

use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use harness::load::Traffic;
use harness::{Specimens, eventually};
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::Code;

use super::raw::{Last, Raw};
use super::{EMIT, ENDLESS, MINUTE, codes, echo, numbers, waiting};

/// Connections that become one second old.
const SHORT: harness::specimens::Settings<'static> = &[("RUNDOO_CONNECTION_AGE", "1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_replaced_under_load_and_no_call_fails() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[SHORT]).await?;
    let client = specimens.client();
    let traffic = Traffic::start(8, Duration::from_millis(2), move || {
        let mut client = client.clone();
        async move { Ok(client.echo(echo(waiting(Duration::from_millis(5)))).await.map(drop)?) }
    });

    // Each of ours is told to go at the age at which the channel's is.
    for _ in 0..3 {
        let raw = Raw::connect(specimens.address(0)?).await?;
        let told = eventually("it is told to go", async || raw.refusal().await.context("it may stay")).await;
        assert!(told.is_go_away() || told.is_io(), "{told:?}");
    }

    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    assert!(outcome.answered > 100, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_the_age_of_its_connection() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[SHORT]).await?;
    let mut through_the_mesh = specimens.client().emit(numbers(120)).await?.into_inner();
    let raw = Raw::connect(specimens.address(0)?).await?;
    let mut call = raw.call(EMIT, &[]).await?;
    call.send(&numbers(120), Last::Yes)?;
    let reading = call.answer().await?;
    let told = eventually("it is told to go", async || raw.refusal().await.context("it may stay")).await;
    let answer = reading.whole().await?;
    let mut seen = 0;
    while through_the_mesh.message().await?.is_some() {
        seen += 1;
    }

    assert!(told.is_go_away() && told.is_remote(), "{told:?}");
    assert_eq!(told.reason(), Some(h2::Reason::NO_ERROR));
    assert_eq!((answer.last_code(), seen), (Some(Code::Ok), 120));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_never_ends_does_not_keep_a_stopped_process_alive() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let mut stream = specimens.client().emit(numbers(ENDLESS)).await?.into_inner();
    stream.message().await?.context("a number")?;
    let raw = Raw::connect(specimens.address(0)?).await?;
    let mut unread = raw.call(EMIT, &[]).await?;
    unread.send(&numbers(ENDLESS), Last::Yes)?;
    let _unread = unread.answer().await?;

    let said = specimens.stop(0).await?;

    assert!(said.contains("some requests did not end in time and were cut"), "{said}");
    let mut after = Ok(Some(Default::default()));
    while let Ok(Some(_)) = after {
        after = stream.message().await;
    }
    assert_eq!(after.expect_err("it was cut").code(), Code::Unavailable);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_caller_does_not_keep_a_stopped_process_alive() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let stream = TcpStream::connect(specimens.address(0)?).await?;
    let (mut sender, mut connection) = h2::client::handshake(stream).await?;
    let request = http::Request::post(format!("http://specimen/{EMIT}")).header("te", "trailers").body(())?;
    let (head, mut body) = sender.send_request(request, false)?;
    let mut message = BytesMut::from(&[0, 0, 0, 0, u8::try_from(numbers(ENDLESS).encoded_len())?][..]);
    numbers(ENDLESS).encode(&mut message)?;
    body.send_data(message.freeze(), true)?;
    tokio::select! {
        head = head => drop(head?),
        ended = &mut connection => anyhow::bail!("it ended: {ended:?}"),
    }
    // From here on nobody drives it: it reads nothing any more, and answers no PING.
    let _frozen = connection;

    specimens.process(0)?.signal(rustix::process::Signal::TERM)?;
    let status = tokio::time::timeout(MINUTE / 2, specimens.process(0)?.wait()).await??;

    assert!(status.success(), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_flight_when_a_process_stops_is_answered() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let mut plain = specimens.plain(0).await?;
    let before = specimens.report(0).await?.begun;
    let call = mesh::spawn("caller", async move { plain.echo(echo(waiting(Duration::from_secs(1)))).await });
    eventually("it has begun", async || {
        anyhow::ensure!(specimens.report(0).await?.begun > before);
        Ok(())
    })
    .await;

    specimens.stop(0).await?;

    call.await?.context("it was cut")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tonic_client_follows_when_its_connection_is_replaced() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[SHORT]).await?;
    let mut client = specimens.plain(0).await?;

    for _ in 0..40 {
        let call = || echo(waiting(Duration::from_millis(40)));
        if let Err(status) = client.echo(call()).await {
            // hyper may hand a call to a connection just as it ends: it is not sent then.
            assert!(status.code() == Code::Cancelled && status.message() == "operation was canceled", "{status}");
            client.echo(call()).await?;
        }
    }

    let stats = specimens.stats(0).await?;
    let echoes = super::calls(&stats, super::ECHO, "unknown")?;
    assert_eq!(codes(echoes), [("OK", 40)].into(), "{echoes:?}");
    Ok(())
}
