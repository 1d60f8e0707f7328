//! The golden metrics: what `GetStats` and `WatchStats` say of the calls that a process took.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use harness::specimen::{EchoRequest, Task};
use harness::{Specimens, eventually, health};
use mesh::Refusal;
use prost::Message as _;
use proto::mesh::mesh_service_client::MeshServiceClient;
use proto::mesh::{MethodKind, WatchStatsRequest};
use tonic::Code;

use super::raw::Raw;
use super::{ECHO, EMIT, ENDLESS, MINUTE, calls, codes, echo, failing, numbers, proto_duration, reason, waiting, with};

/// gRPC puts so many bytes before each message.
const PREFIX: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_counted_by_method_caller_and_status_with_their_bytes() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut client = specimens.plain(0).await?;
    let (good, bad) = (echo(Task::default()), echo(failing(Code::NotFound)));

    let mut sent_bytes = 0;
    for _ in 0..3 {
        let answer = client.echo(with(good.clone(), &[("x-rundoo-caller", "tests/1")])?).await?;
        sent_bytes += answer.into_inner().encoded_len() as u64 + PREFIX;
    }
    client.echo(with(bad.clone(), &[("x-rundoo-caller", "tests/2")])?).await.expect_err("it fails");
    client.echo(with(good.clone(), &[("x-rundoo-caller", "others/1")])?).await?;

    eventually("they are counted", async || {
        let stats = specimens.stats(0).await?;
        let tests = calls(&stats, ECHO, "tests")?;
        anyhow::ensure!((tests.started, tests.in_flight) == (4, 0), "{tests:?}");
        anyhow::ensure!(codes(tests) == [("NOT_FOUND", 1), ("OK", 3)].into(), "{tests:?}");
        anyhow::ensure!(tests.latency.as_ref().map(|latency| latency.count) == Some(4), "{tests:?}");
        let received = 3 * good.encoded_len() as u64 + bad.encoded_len() as u64 + 4 * PREFIX;
        anyhow::ensure!((tests.received_bytes, tests.sent_bytes) == (received, sent_bytes), "{tests:?}");
        anyhow::ensure!(tests.kind() == MethodKind::Unary, "{tests:?}");
        anyhow::ensure!(codes(calls(&stats, ECHO, "others")?) == [("OK", 1)].into(), "{stats:?}");
        anyhow::ensure!(stats.service == "specimen" && !stats.instance_id.is_empty(), "{stats:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_in_flight_until_its_end_and_measured_there() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut client = specimens.plain(0).await?;

    let mut read = client.emit(numbers(100)).await?.into_inner();
    read.message().await?.context("a number")?;
    let stats = specimens.stats(0).await?;
    let open = calls(&stats, EMIT, "unknown")?;
    assert_eq!((open.started, open.in_flight, open.kind()), (1, 1, MethodKind::ServerStream));
    assert!(open.codes.is_empty(), "{open:?}");
    while read.message().await?.is_some() {}

    eventually("it has ended", async || {
        let stats = specimens.stats(0).await?;
        let ended = calls(&stats, EMIT, "unknown")?;
        anyhow::ensure!(ended.in_flight == 0 && codes(ended) == [("OK", 1)].into(), "{ended:?}");
        let latency = ended.latency.as_ref().context("it was measured")?;
        let took = latency.sum.as_ref().and_then(mesh::from_duration).context("it took time")?;
        anyhow::ensure!(latency.count == 1 && took >= Duration::from_secs(2), "{latency:?}");
        anyhow::ensure!(ended.sent_bytes == 100 * (PREFIX + 2), "{ended:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_counts_as_cancelled_and_who_comes_too_late_as_such() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut client = specimens.plain(0).await?;

    let mut left = client.emit(numbers(ENDLESS)).await?.into_inner();
    left.message().await?.context("a number")?;
    drop(left);
    // Without the timer of a tonic client, which may be quicker.
    let raw = Raw::connect(specimens.address(0)?).await?;
    let late = raw.ask(ECHO, &[("grpc-timeout", "50m")], &echo(waiting(MINUTE))).await?;
    assert_eq!(late.status()?.code(), Code::DeadlineExceeded);

    eventually("both are counted", async || {
        let stats = specimens.stats(0).await?;
        let emit = calls(&stats, EMIT, "unknown")?;
        anyhow::ensure!(emit.in_flight == 0 && codes(emit) == [("CANCELLED", 1)].into(), "{emit:?}");
        let echo = calls(&stats, ECHO, "unknown")?;
        anyhow::ensure!(echo.in_flight == 0 && codes(echo) == [("DEADLINE_EXCEEDED", 1)].into(), "{echo:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_that_do_not_exist_share_a_label_and_invented_callers_do_too() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let raw = Raw::connect(specimens.address(0)?).await?;

    for n in 0..100 {
        raw.ask(&format!("invented.Service{n}/Method"), &[], &()).await?;
        raw.ask("rundoo.specimen.v1.SpecimenService/Invented", &[], &()).await?;
    }
    for n in 0..200 {
        let caller = format!("invented-{n}/1");
        raw.ask(ECHO, &[("x-rundoo-caller", &caller)], &EchoRequest::default()).await?;
    }

    eventually("all are counted", async || {
        let stats = specimens.stats(0).await?;
        let unknown = calls(&stats, "unknown", "unknown")?;
        anyhow::ensure!(codes(unknown) == [("UNIMPLEMENTED", 200)].into(), "{unknown:?}");
        anyhow::ensure!(!stats.inbound.iter().any(|calls| calls.method.contains("nvented")), "{:?}", stats.inbound);
        let callers: BTreeSet<&str> = stats.inbound.iter().map(|calls| calls.peer.as_str()).collect();
        anyhow::ensure!(callers.len() <= 65 && callers.contains("other"), "{callers:?}");
        let echoes = stats.inbound.iter().filter(|calls| calls.method == ECHO && calls.peer != "client");
        let ended = echoes.flat_map(|calls| &calls.codes).map(|count| count.count).sum::<u64>();
        anyhow::ensure!(ended == 200, "{ended}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_sends_again_and_again_and_ends_in_words_when_the_process_stops() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let mut client = MeshServiceClient::new(health::connect(specimens.address(0)?).await?);
    let request = WatchStatsRequest { period: proto_duration(Duration::from_millis(100)) };

    let mut watch = client.watch_stats(request).await?.into_inner();
    specimens.plain(0).await?.echo(echo(Task::default())).await?;
    let mut times = Vec::new();
    loop {
        let stats = watch.message().await?.and_then(|message| message.stats).context("it ended")?;
        times.push(stats.time.as_ref().and_then(mesh::from_timestamp).context("a time")?);
        if calls(&stats, ECHO, "unknown").is_ok() && times.len() > 3 {
            break;
        }
    }
    let stop = specimens.stop(0);
    let ended = async {
        loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                Ok(None) => anyhow::bail!("it ended without a word"),
                Err(status) => return Ok(status),
            }
        }
    };
    let (stopped, ended) = tokio::join!(stop, ended);

    stopped?;
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(reason(&ended?), (Code::Unavailable, "STOPPING".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_with_a_silly_period_is_refused_with_the_field() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut client = MeshServiceClient::new(health::connect(specimens.address(0)?).await?);

    for (seconds, nanos) in [(0, 0), (-1, 0), (0, 99_000_000), (3601, 0), (i64::MAX, i32::MAX)] {
        let period = Some(prost_types::Duration { seconds, nanos });
        let refused = client.watch_stats(WatchStatsRequest { period }).await.expect_err("it is silly");

        assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned()), "{seconds} s {nanos} ns");
        assert_eq!(Refusal::fields(&refused)[0].0, "period");
    }
    Ok(())
}
