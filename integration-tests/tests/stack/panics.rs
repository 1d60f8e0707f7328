//! Panics: the caller gets a status and an id, the log gets the place, and the process lives.

use anyhow::Context as _;
use harness::specimen::{EmitRequest, Task};
use harness::system::{Role, System};
use harness::{Specimens, eventually};
use mesh::Refusal;
use tonic::Code;

use super::{echo, metadata, numbers, reason, with};

/// One specimen beside a registry and a log service, which keeps what a record has beside its words.
async fn logged() -> anyhow::Result<Specimens> {
    let mut system = System::prepare(Default::default())?;
    for role in [Role::Logs, Role::Registry] {
        system.launch(role).await?;
    }
    Specimens::beside(system, &[&[]]).await
}

/// Waits for the ERROR record of a request, which says where it happened.
async fn recorded(specimens: &mut Specimens, request_id: &str) {
    eventually("the panic is in the log", async || {
        let log = specimens.system().app_log();
        let of_it = |line: &&str| line.contains("panicked: told to") && line.contains(request_id);
        let line = log.lines().find(of_it).with_context(|| format!("nothing of it in:\n{log}"))?;
        let place = line.contains("panic.location=") && line.contains("specimen/service.rs");
        anyhow::ensure!(line.contains("ERROR") && line.contains("backtrace=") && place, "{line}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_becomes_internal_with_the_id_under_which_the_log_has_the_place() -> anyhow::Result<()> {
    let mut specimens = logged().await?;
    let mut client = specimens.plain(0).await?;

    let panic = Task { panic: true, ..Task::default() };
    let failed = client.echo(with(echo(panic), &[("x-request-id", "it-panics")])?).await.expect_err("it panics");

    assert_eq!(reason(&failed), (Code::Internal, "PANIC".to_owned()), "{failed:?}");
    assert_eq!(Refusal::metadata_of(&failed, "request_id").as_deref(), Some("it-panics"));
    assert_eq!(metadata(failed.metadata(), "x-request-id")?, "it-panics");
    assert!(!failed.message().contains("told to"), "what went wrong inside stays inside: {failed:?}");
    recorded(&mut specimens, "it-panics").await;
    eventually("it is on the terminal", async || {
        let said = specimens.process(0)?.output();
        anyhow::ensure!(said.contains("ERROR") && said.contains("panicked: told to"), "{said}");
        Ok(())
    })
    .await;
    client.echo(echo(Task::default())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_the_middle_of_a_stream_ends_it_after_what_was_sent() -> anyhow::Result<()> {
    let mut specimens = logged().await?;
    let mut client = specimens.plain(0).await?;

    let request = with(EmitRequest { panic_at: 3, ..numbers(10) }, &[("x-request-id", "it-panics-later")])?;
    let mut stream = client.emit(request).await?.into_inner();
    let mut seen = Vec::new();
    let failed = loop {
        match stream.message().await {
            Ok(message) => seen.push(message.context("it ended well")?.number),
            Err(failed) => break failed,
        }
    };

    assert_eq!(seen, [1, 2]);
    assert_eq!(reason(&failed), (Code::Internal, "PANIC".to_owned()), "{failed:?}");
    assert_eq!(Refusal::metadata_of(&failed, "request_id").as_deref(), Some("it-panics-later"));
    recorded(&mut specimens, "it-panics-later").await;
    let mut again = client.emit(numbers(3)).await?.into_inner();
    while again.message().await?.is_some() {}
    Ok(())
}
