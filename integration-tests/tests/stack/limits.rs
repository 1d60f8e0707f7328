//! What one caller may cost: sizes, streams, connections that say nothing.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use harness::specimen::{EchoRequest, EmitRequest, GatherRequest, Task};
use harness::{Specimens, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use super::raw::{Last, Raw};
use super::{ECHO, EMIT, GATHER, MINUTE, calls, codes, echo, numbers, proto_duration, reason};

/// What a message may weigh.
const MOST: usize = 4 * 1024 * 1024;

/// Half of what every HTTP/2 connection begins with.
const HALF_A_PREFACE: &[u8] = b"PRI * HTTP/2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_4_mib_is_refused_and_one_just_below_is_not() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let text = |length| EchoRequest { text: "x".repeat(length), task: Some(Task::default()) };
    let mut client = specimens.plain(0).await?;

    let refused = client.echo(text(MOST + 1)).await.expect_err("it is too large");
    let answer = client.echo(text(MOST - 1000)).await?.into_inner();

    assert_eq!(reason(&refused), (Code::OutOfRange, "MESSAGE_TOO_LARGE".to_owned()), "{refused:?}");
    assert_eq!(answer.text.len(), MOST - 1000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_passes_a_channel_whole_and_one_that_is_too_large_is_refused() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let text = |length| EchoRequest { text: "x".repeat(length), task: Some(Task::default()) };
    let mut client = specimens.client();

    for length in [0, 1000, 300_000, 1_500_000, MOST - 1000] {
        assert_eq!(client.echo(text(length)).await?.into_inner().text.len(), length);
    }
    let refused = client.echo(text(MOST + 1)).await.expect_err("it is too large");

    assert_eq!(reason(&refused), (Code::OutOfRange, "MESSAGE_TOO_LARGE".to_owned()), "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_over_16_kib_are_refused_and_the_connection_goes_on() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;
    let before = specimens.report(0).await?.begun;

    let large = "x".repeat(20_000);
    let refused = raw.ask(ECHO, &[("x-large", &large)], &echo(Task::default())).await;
    assert!(refused.as_ref().map_or(true, |answer| answer.head.status.is_client_error()), "{refused:?}");
    assert_eq!(specimens.report(0).await?.begun, before, "no handler saw it");

    let answer = raw.ask(ECHO, &[("x-large", &large[..8000])], &echo(Task::default())).await?;
    assert_eq!(answer.last_code(), Some(Code::Ok), "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_streams_than_1024_on_one_connection_wait_and_the_process_goes_on() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;
    // The server's settings are here once it has answered.
    raw.ask(ECHO, &[], &echo(Task::default())).await?;

    let open = |_| async {
        let mut call = raw.call(EMIT, &[]).await?;
        call.send(&EmitRequest { interval: proto_duration(MINUTE), ..numbers(1) }, Last::Yes)?;
        call.answer().await
    };
    let begun = join_all((0..1024).map(open)).await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let one_more = open(0);
    tokio::pin!(one_more);
    assert!(futures_util::poll!(&mut one_more).is_pending());

    eventually("1,024 are open", async || {
        let stats = specimens.stats(0).await?;
        let in_flight = calls(&stats, EMIT, "unknown")?.in_flight;
        anyhow::ensure!(in_flight == 1024, "{in_flight}");
        Ok(())
    })
    .await;
    assert!(futures_util::poll!(&mut one_more).is_pending());
    specimens.plain(0).await?.echo(echo(Task::default())).await?;
    drop(begun);
    one_more.await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_pays_no_heed_to_that_limit_is_refused_and_the_process_goes_on() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let tcp = TcpStream::connect(specimens.address(0)?).await?;
    let (mut sender, connection) =
        h2::client::Builder::new().initial_max_send_streams(3000).handshake::<_, bytes::Bytes>(tcp).await?;

    // All of them are begun before the server's settings are read.
    let mut heads = Vec::new();
    for _ in 0..2000 {
        let request = http::Request::post(format!("http://specimen/{EMIT}")).header("te", "trailers").body(())?;
        let (head, body) = sender.send_request(request, false)?;
        heads.push(async move { (head.await.is_ok(), body) });
    }
    mesh::spawn("raw connection", async move { drop(connection.await) });
    // Held until it was looked: of those that are let go the handlers end a moment later.
    let mut heads = std::pin::pin!(join_all(heads));
    let _waiting = tokio::time::timeout(Duration::from_millis(500), heads.as_mut()).await;

    specimens.plain(0).await?.echo(echo(Task::default())).await?;
    let stats = specimens.stats(0).await?;
    let in_flight = calls(&stats, EMIT, "unknown").map_or(0, |emit| emit.in_flight);
    assert!(in_flight <= 1024, "{in_flight}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_messages_that_nobody_reads_for_a_while_break_no_connection() -> anyhow::Result<()> {
    const STREAMS: u64 = 20;
    let specimens = Specimens::start(1).await?;
    let mut client = specimens.client();

    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        unread.push(client.emit(EmitRequest { interval: None, ..numbers(1000) }).await?.into_inner());
    }
    let ended = eventually("all is sent", async || {
        let stats = specimens.stats(0).await?;
        let emit = calls(&stats, EMIT, "client")?;
        anyhow::ensure!(emit.started == STREAMS && emit.in_flight == 0, "{emit:?}");
        Ok(emit.clone())
    })
    .await;

    assert_eq!(codes(&ended), [("OK", STREAMS)].into());
    for mut stream in unread {
        let mut seen = 0;
        while stream.message().await.with_context(|| format!("after {seen}"))?.is_some() {
            seen += 1;
        }
        assert_eq!(seen, 1000);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_messages_that_wait_for_a_process_that_hung_break_no_connection() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;
    raw.ask(ECHO, &[], &echo(Task::default())).await?;

    specimens.process(0)?.freeze().await?;
    let mut call = raw.call(GATHER, &[]).await?;
    for n in 0..5000 {
        call.send(&GatherRequest {}, if n < 4999 { Last::No } else { Last::Yes })?;
    }
    specimens.process(0)?.signal(rustix::process::Signal::CONT)?;
    let answer = call.answer().await?.whole().await?;

    assert_eq!(answer.last_code(), Some(Code::Ok), "{answer:?}");
    Ok(())
}

/// Waits for the other side to close.
async fn closed(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    // Being cut is as good as being closed.
    let _cut = tokio::time::timeout(MINUTE / 2, stream.read_to_end(&mut bytes)).await.context("it stays open")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_half_a_preface_or_nothing_after_it_are_closed() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;

    let address = specimens.address(0)?;
    let said: [&[u8]; 3] = [b"", HALF_A_PREFACE, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let ends = said.map(|said| async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(said).await?;
        closed(stream).await.with_context(|| format!("{said:?}"))
    });

    futures_util::future::try_join_all(ends).await?;
    specimens.plain(0).await?.echo(echo(Task::default())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http2_is_answered_with_a_closed_connection() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;

    for said in ["GET / HTTP/1.1\r\nhost: specimen\r\n\r\n", "nonsense that is longer than any preface is\r\n\r\n"] {
        let mut stream = TcpStream::connect(specimens.address(0)?).await?;
        stream.write_all(said.as_bytes()).await?;
        closed(stream).await.with_context(|| said.to_owned())?;
    }

    specimens.plain(0).await?.echo(echo(Task::default())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_says_nothing_hinders_a_stop() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let silent = TcpStream::connect(specimens.address(0)?).await?;
    let mut half = TcpStream::connect(specimens.address(0)?).await?;
    half.write_all(HALF_A_PREFACE).await?;
    specimens.plain(0).await?.echo(echo(Task::default())).await?;

    let said = specimens.stop(0).await?;

    assert!(!said.contains("were cut"), "{said}");
    closed(silent).await?;
    closed(half).await
}
