//! What others make of what we say: a stock validator, schemathesis, promtool.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use harness::skip::skip;
use harness::system::System;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::with_specimen;

/// A tool of the environment that `RUNDOO_OPENAPI` names; nothing when there is none, which is said.
fn tool(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("RUNDOO_OPENAPI").map(|folder| PathBuf::from(folder).join("bin").join(name));
    let found = found.filter(|path| path.is_file());
    if found.is_none() {
        let enable =
            "RUNDOO_OPENAPI=folder of a venv with integration-tests/tests/portal/gateway/requirements.txt installed";
        skip(&format!("{name} on the OpenAPI document"), enable);
    }
    found
}

async fn succeeds(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().await?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "{:?}: {text}", output.status);
    Ok(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_validator_accepts_the_document() -> anyhow::Result<()> {
    let Some(validator) = tool("openapi-spec-validator") else { return Ok(()) };
    // With a service whose paths have patterns, and whose fields are of every kind.
    let mut specimens = with_specimen().await?;
    let system = specimens.system();
    let file = system.folder().join("openapi.json");
    let document = system.get("/openapi.json").await?.text;
    assert!(document.contains("/v1/mirror/folders/{tag_1}/files/{tag_2}"), "{document}");
    std::fs::write(&file, document)?;
    let said = succeeds(Command::new(validator).arg("--schema").arg("3.1").arg(&file)).await?;
    assert!(said.contains("OK"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_server_error() -> anyhow::Result<()> {
    let Some(schemathesis) = tool("schemathesis") else { return Ok(()) };
    let system = System::start().await?;
    let site = format!("http://{}", system.portal());
    let said = succeeds(
        Command::new(schemathesis)
            .current_dir(system.folder())
            .args(["run", &format!("{site}/openapi.json"), "--url", &site])
            .args(["--checks", "not_a_server_error", "--max-examples", "8", "--request-timeout", "5", "--seed", "7"])
            // What goes on for ever, what waits for a revision that no random number is, and what sends the
            // processes of this very test away.
            .args(["--exclude-path-regex", "watch|tail|registry/instances$|archives:run|registry:move|drain"]),
    )
    .await?;
    assert!(said.contains("0 failed") || said.contains("passed"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_has_nothing_against_the_metrics() -> anyhow::Result<()> {
    if Command::new("promtool").arg("--version").output().await.is_err() {
        skip("promtool on the metrics", "apt-get install prometheus");
        return Ok(());
    }
    let system = System::start().await?;
    let metrics = system.get("/metrics").await?.text;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool.stdin.take().context("it reads")?.write_all(metrics.as_bytes()).await?;
    let output = promtool.wait_with_output().await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    Ok(())
}
