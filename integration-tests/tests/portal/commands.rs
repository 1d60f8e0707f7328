//! What stands at the foot of each page works when it is pasted into a shell.

use std::net::SocketAddr;

use anyhow::Context as _;
use harness::http::{Page, decode};
use harness::system::System;
use harness::{dynamic, health};
use tokio::process::Command;
use tonic::Code;

use super::{add, manners};

/// The commands of a page, as a person would copy them.
fn commands(page: &Page) -> Vec<String> {
    let starts = page.text.split("<pre tabindex=\"0\"><code>").skip(1);
    let lines = starts.filter_map(|rest| rest.split("</code>").next());
    lines.map(decode).filter(|line| line.starts_with("grpcurl ")).collect()
}

/// What a shell makes of a command: its arguments.
async fn arguments(line: &str) -> anyhow::Result<Vec<String>> {
    let script = format!("grpcurl() {{ printf '%s\\0' \"$@\"; }}\n{line}\n");
    let output = Command::new("sh").arg("-c").arg(script).output().await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_terminator('\0').map(str::to_owned).collect())
}

/// Calls what a command calls; what matters is that it is understood.
async fn paste(line: &str) -> anyhow::Result<()> {
    let arguments = arguments(line).await?;
    let (data, rest) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-plaintext", "-d", data, address, method] => (data, (address, method)),
        ["-plaintext", address, method] => ("{}", (address, method)),
        _ => anyhow::bail!("{arguments:?}"),
    };
    let (address, method): (SocketAddr, _) = (rest.0.parse()?, dynamic::method(rest.1)?);
    let requests = dynamic::requests(&method, data)?;
    let mut answers = dynamic::call(health::connect(address).await?, &method, tokio_stream::iter(requests))
        .await
        .context("refused")?;
    answers.message().await.map(drop).context("refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_has_a_command_that_works_when_it_is_pasted() -> anyhow::Result<()> {
    let system = System::start().await?;
    let mut pages = manners::pages(&system).await?;
    let hostile = add(&system, ["It's $(touch x) `y` \"z\" \\ é", "Quotes' & \"signs\"", "'; rm -rf *"]).await?;
    for path in [hostile.clone(), format!("{hostile}/edit"), "/search?q=%27%20%24%28reboot%29%20%22x%22".to_owned()] {
        pages.push((path.clone(), 200, system.get(&path).await?));
    }
    for (path, status, page) in &pages {
        let commands = commands(page);
        assert!(!commands.is_empty(), "{path} has no command");
        for line in commands {
            match paste(&line).await {
                Ok(()) => {}
                // What is not there is not found by hand either.
                Err(error) if *status == 404 && code(&error) == Some(Code::NotFound) => {}
                Err(error) => panic!("{path}: {line}: {error:#}"),
            }
        }
    }
    Ok(())
}

fn code(error: &anyhow::Error) -> Option<Code> {
    error.downcast_ref::<tonic::Status>().map(tonic::Status::code)
}
