//! Processes that are killed while they work: reads and named writes go on elsewhere, others are not done twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use harness::load::Traffic;
use harness::specimen::WriteRequest;
use harness::{Specimens, eventually};
use tonic::{Code, Status};

use super::{echo, reason, waiting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_is_killed_under_load_and_no_read_and_no_named_write_fails() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(3).await?;
    let (client, next) = (specimens.client(), AtomicU64::new(0));
    let traffic = Traffic::start(16, Duration::from_millis(1), move || {
        let (mut client, n) = (client.clone(), next.fetch_add(1, Ordering::Relaxed));
        async move {
            let wait = waiting(Duration::from_millis(3));
            if n % 2 == 0 {
                client.echo(echo(wait)).await?;
            } else {
                client.write(WriteRequest { request_id: format!("write-{n}"), task: Some(wait) }).await?;
            }
            Ok(())
        }
    });
    let answered = async |count: u64| {
        eventually("calls go on", async || {
            anyhow::ensure!(traffic.answered() >= count, "{}", traffic.answered());
            Ok(())
        })
        .await;
    };

    answered(300).await;
    specimens.kill(0).await?;
    answered(1000).await;

    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    Ok(())
}

/// Twenty writes at once, one of two instances killed while all are being worked on: what came of
/// them, and how many handlers began at the other one.
async fn killed_in_the_middle(name: impl Fn(u32) -> String) -> anyhow::Result<(Vec<Status>, u64, u64)> {
    let mut specimens = Specimens::start(2).await?;
    let before = (specimens.report(0).await?.begun, specimens.report(1).await?.begun);
    let writes: Vec<_> = (0..20)
        .map(|n| {
            let mut client = specimens.client();
            let request = WriteRequest { request_id: name(n), task: Some(waiting(Duration::from_secs(6))) };
            mesh::spawn("writer", async move { client.write(request).await })
        })
        .collect();
    eventually("all have begun", async || {
        let (first, second) = (specimens.report(0).await?, specimens.report(1).await?);
        let (first, second) = (first.begun - before.0, second.begun - before.1);
        anyhow::ensure!(first + second == 20 && first > 0, "{first} and {second}");
        Ok(())
    })
    .await;

    specimens.kill(0).await?;

    let answers = join_all(writes).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let failed = answers.into_iter().filter_map(Result::err).collect();
    let report = specimens.report(1).await?;
    Ok((failed, report.begun - before.1, report.writes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_a_request_id_is_not_sent_again_when_its_connection_breaks() -> anyhow::Result<()> {
    let (failed, begun, _) = killed_in_the_middle(|_| String::new()).await?;

    assert!(!failed.is_empty());
    for status in &failed {
        assert_eq!(reason(status), (Code::Unavailable, "CONNECTION_LOST".to_owned()), "{status:?}");
    }
    assert_eq!(failed.len() as u64 + begun, 20, "who lives began no more than it was sent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_with_a_request_id_is_sent_again_when_its_connection_breaks() -> anyhow::Result<()> {
    let (failed, begun, writes) = killed_in_the_middle(|n| format!("write-{n}")).await?;

    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!((begun, writes), (20, 20));
    Ok(())
}
