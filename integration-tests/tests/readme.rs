//! The README keeps its word: its commands are taken out of it and performed.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use harness::eventually::{COMPILING, eventually_within};
use harness::skip::skip;
use harness::system::{free_port, loopback};
use harness::{Process, Program, binaries, dynamic, health};
use rustix::process::{Pid, Signal, kill_process_group};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

fn readme() -> String {
    std::fs::read_to_string(binaries::root().join("README.md")).expect("there is a README")
}

/// The commands in fenced blocks, in order.
fn commands() -> Vec<String> {
    let text = readme();
    let blocks = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join(program).is_file())
}

/// The README's system, started by its own command on ports of the test's own.
struct Up {
    process: Process,
    folder: tempfile::TempDir,
    /// The README's addresses and what they are here.
    ports: Vec<(&'static str, &'static str, SocketAddr)>,
}

impl Up {
    async fn start(just: PathBuf) -> anyhow::Result<Self> {
        let mut ports = Vec::new();
        for (setting, port) in [
            ("PORTAL_HTTP_LISTEN", "127.0.0.1:5050"),
            ("REGISTRY_LISTEN", "127.0.0.1:5051"),
            ("LOGSVC_LISTEN", "127.0.0.1:5052"),
            ("PRODUCTSVC_LISTEN", "127.0.0.1:5053"),
            ("PORTAL_LISTEN", "127.0.0.1:5054"),
        ] {
            ports.push((setting, port, loopback(free_port()?)));
        }
        let folder = tempfile::tempdir()?;
        let program = Program::new(&just, "just", binaries::root()).argument("up");
        let program = Self::settings(&ports, &folder)
            .into_iter()
            .fold(program, |program, (name, value)| program.set(&name, value));
        let mut up = Self { process: program.start()?, folder, ports };
        eventually_within(COMPILING, "`just up` is up", async || {
            let output = up.process.output();
            anyhow::ensure!(up.process.ended().is_none(), "it ended:\n{output}");
            anyhow::ensure!(output.contains("Ctrl-C stops everything"), "{output}");
            Ok(())
        })
        .await;
        Ok(up)
    }

    fn settings(
        ports: &[(&'static str, &'static str, SocketAddr)],
        folder: &tempfile::TempDir,
    ) -> Vec<(String, String)> {
        let mut settings: Vec<(String, String)> =
            ports.iter().map(|(name, _, here)| ((*name).to_owned(), here.to_string())).collect();
        settings.push(("RUNDOO_REGISTRY".to_owned(), ports[1].2.to_string()));
        for (name, file) in [("LOGSVC_FILE", "app.log"), ("LOGSVC_DATA", "logs"), ("RUNDOO_SPOOL", "spool")] {
            settings.push((name.to_owned(), folder.path().join(file).display().to_string()));
        }
        settings.push(("DATABASE_URL".to_owned(), format!("sqlite://{}", folder.path().join("products.db").display())));
        settings
    }

    /// Ends it as Ctrl-C at a terminal does: all of its group.
    fn interrupt(&self) -> anyhow::Result<()> {
        let group = self.process.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).context("it runs")?;
        Ok(kill_process_group(group, Signal::INT)?)
    }

    /// A command with the README's addresses replaced by ours.
    fn here(&self, command: &str) -> String {
        self.ports
            .iter()
            .fold(command.to_owned(), |command, (_, there, here)| command.replace(there, &here.to_string()))
    }

    /// Runs a command in a shell and answers what it printed.
    fn shell(&self, command: &str) -> anyhow::Result<String> {
        let settings = Self::settings(&self.ports, &self.folder);
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(command)
            .envs(settings)
            .current_dir(binaries::root())
            .output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(output.status.success(), "{command}: {}\n{said}", output.status);
        Ok(said)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // A test that failed leaves no system behind.
        let _ended = self.interrupt();
    }
}

/// Does what grpcurl does with such a line, over the same connection and reflection.
async fn grpcurl(line: &str) -> anyhow::Result<String> {
    let line = line.strip_prefix("grpcurl -plaintext ").context("a grpcurl line begins so")?;
    let (json, line) = match line.strip_prefix("-d '") {
        Some(rest) => rest.split_once("' ").context("the request ends with a quote")?,
        None => ("{}", line),
    };
    let mut words = line.split_whitespace();
    let address: SocketAddr = words.next().context("an address")?.parse()?;
    match (words.next().context("a verb or method")?, words.next()) {
        ("list", None) => reflect(address, MessageRequest::ListServices(String::new())).await,
        ("describe", Some(symbol)) => reflect(address, MessageRequest::FileContainingSymbol(symbol.to_owned())).await,
        (method, None) => {
            let method = dynamic::method(method)?;
            let requests = dynamic::requests(&method, json)?;
            let mut answers =
                dynamic::call(health::connect(address).await?, &method, tokio_stream::iter(requests)).await?;
            let answer = answers.message().await?.context("no answer")?;
            dynamic::json(&answer)
        }
        other => anyhow::bail!("the README uses grpcurl in a new way: {other:?}"),
    }
}

async fn reflect(address: SocketAddr, message: MessageRequest) -> anyhow::Result<String> {
    let mut client = ServerReflectionClient::new(health::connect(address).await?);
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let answer = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner().message().await?;
    match answer.and_then(|answer| answer.message_response).context("no answer")? {
        MessageResponse::ErrorResponse(error) => anyhow::bail!("{}", error.error_message),
        answer => Ok(format!("{answer:?}")),
    }
}

#[test]
fn it_opens_with_the_two_commands() {
    let commands = commands();

    assert_eq!(commands[0], "cargo install --locked just && just up");
    assert_eq!(commands[1], "cargo test --workspace");
}

#[test]
fn what_the_documents_link_to_is_there() -> anyhow::Result<()> {
    let (root, mut links) = (binaries::root(), 0);
    let docs =
        std::fs::read_dir(root.join("docs"))?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    let documents = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root.join(name));
    for document in documents.iter().chain(docs.iter().filter(|path| path.extension().is_some_and(|it| it == "md"))) {
        let text = std::fs::read_to_string(document)?;
        for link in text.split("](").skip(1).filter_map(|link| link.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().context("it is in a folder")?.join(path),
            };
            anyhow::ensure!(target.exists(), "{link} of {} is missing", document.display());
            let is_there = heading.is_empty() || headings(&std::fs::read_to_string(&target)?).any(|it| it == heading);
            anyhow::ensure!(is_there, "{link} of {} has no such heading", document.display());
            links += 1;
        }
    }
    anyhow::ensure!(links > 20, "{links} links were found");
    Ok(())
}

/// The headings of a document, as links name them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_commands_work_as_printed() -> anyhow::Result<()> {
    let Some(just) = on_path("just") else {
        skip("the README's commands: just is missing", "cargo install --locked just");
        return Ok(());
    };
    let mut up = Up::start(just).await?;
    let has_grpcurl = on_path("grpcurl").is_some();

    for command in commands() {
        let here = up.here(&command);
        let said = match command.split(' ').next().unwrap_or_default() {
            "grpcurl" if has_grpcurl => up.shell(&here)?,
            "grpcurl" => grpcurl(&here).await.with_context(|| command.clone())?,
            "just" => up.shell(&here)?,
            "curl" => up.shell(&here.replacen("curl ", "curl -sSf ", 1))?,
            "cargo" if [" import ", " registry -- ", " logsvc -- "].iter().any(|part| command.contains(part)) => {
                up.shell(&here)?
            }
            // Serving alone, in any order, is what `startup` is about; here the flag list must print.
            "cargo" if command.starts_with("cargo run -p") => up.shell(&format!("{here} -- --help"))?,
            // The two that it opens with: one is running, the other is running us.
            "cargo" => continue,
            _ => anyhow::bail!("the README has a command that this test cannot perform: {command}"),
        };
        assert!(!said.trim().is_empty(), "{command} says nothing");
    }

    up.interrupt()?;
    up.process.wait().await?;
    assert!(up.process.output().contains("logsvc stopped"), "{}", up.process.output());
    Ok(())
}
