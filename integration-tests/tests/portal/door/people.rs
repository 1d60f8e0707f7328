//! A system whose door is guarded, and those who knock.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use harness::http::{Page, encode, send};
use harness::system::{Options, Role, System};
use harness::{binaries, eventually};
use http::Method;
use proto::logs::{FieldMatch, Filter, QueryRequest, query_response::Part};

/// Everybody's, here.
pub(in crate::portal) const PASSWORD: &str = "correct horse battery";

/// A system where everybody logs in; `root` is the administrator.
pub(in crate::portal) struct House {
    pub(in crate::portal) system: System,
}

/// Somebody who asks the portal, with a cookie, a token or nothing.
#[derive(Debug, Clone)]
pub(in crate::portal) struct Visitor {
    portal: SocketAddr,
    pub(in crate::portal) cookie: String,
    token: String,
}

impl House {
    pub(in crate::portal) async fn start(people: &[(&str, &str)]) -> anyhow::Result<House> {
        House::with(people, Vec::new()).await
    }

    pub(in crate::portal) async fn with(
        people: &[(&str, &str)],
        more: Vec<(&'static str, String)>,
    ) -> anyhow::Result<House> {
        let mut settings = vec![("PORTAL_LOGIN", "always".to_owned())];
        settings.extend(more);
        let mut system = System::prepare(Options { settings, ..Options::default() })?;
        for (name, role) in [("root", "administrator")].iter().chain(people) {
            command(&system, &["user", "add", name, "--role", role], Some(PASSWORD))?;
        }
        for role in system.roles() {
            system.launch(role).await?;
        }
        system.ready().await;
        Ok(House { system })
    }

    pub(in crate::portal) fn nobody(&self) -> Visitor {
        Visitor { portal: self.system.portal(), cookie: String::new(), token: String::new() }
    }

    pub(in crate::portal) fn program(&self, token: &str) -> Visitor {
        Visitor { token: format!("Bearer {token}"), ..self.nobody() }
    }

    pub(in crate::portal) async fn log_in(&self, name: &str) -> anyhow::Result<Visitor> {
        let page = self.nobody().post("/login", &[("name", name), ("password", PASSWORD)]).await?;
        anyhow::ensure!(page.status == 303, "{name}: {} {}", page.status, page.text);
        let cookie = page.headers.get("set-cookie").context("no cookie")?.to_str()?;
        Ok(Visitor { cookie: cookie.split(';').next().unwrap_or_default().to_owned(), ..self.nobody() })
    }

    /// Waits until a page holds all of these words.
    pub(in crate::portal) async fn shows(&self, who: &Visitor, path: &str, words: &[&str]) {
        eventually(path, async || {
            let page = who.get(path).await?;
            for words in words {
                anyhow::ensure!(page.text.contains(words), "no {words}: {} {}", page.status, page.text);
            }
            Ok(())
        })
        .await;
    }

    /// Waits until a service has said something for this person.
    pub(in crate::portal) async fn record(&self, service: &str, actor: &str) {
        let fields = vec![FieldMatch { name: "actor".into(), value: actor.into() }];
        let filter = Filter { services: vec![service.into()], fields, ..Filter::default() };
        eventually("the log knows for whom it was", async || {
            let request = QueryRequest { filter: Some(filter.clone()), ..QueryRequest::default() };
            let mut answers = self.system.logs().query(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                if matches!(answer.part, Some(Part::Rows(rows)) if !rows.records.is_empty()) {
                    return Ok(());
                }
            }
            anyhow::bail!("no record of {service} for {actor}")
        })
        .await;
    }

    /// What the portal has in memory, in bytes.
    pub(in crate::portal) fn memory(&mut self) -> anyhow::Result<u64> {
        let pid = self.system.process(Role::Portal)?.pid().context("it ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? << 10)
    }
}

impl Visitor {
    pub(in crate::portal) async fn get(&self, path: &str) -> anyhow::Result<Page> {
        self.send(Method::GET, path, String::new()).await
    }

    pub(in crate::portal) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.send(Method::POST, path, body.join("&")).await
    }

    async fn send(&self, method: Method, path: &str, body: String) -> anyhow::Result<Page> {
        let mut headers = Vec::new();
        if method == Method::POST {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        if !self.cookie.is_empty() {
            headers.push(("cookie", &self.cookie));
        }
        if !self.token.is_empty() {
            headers.push(("authorization", &self.token));
        }
        send(self.portal, method, path, &headers, body).await
    }
}

/// Runs a command of the portal in the system's folder; answers what it printed.
pub(in crate::portal) fn command(
    system: &System,
    arguments: &[&str],
    password: Option<&str>,
) -> anyhow::Result<String> {
    let mut command = Command::new(binaries::build()?.join("portal"));
    command.args(arguments).current_dir(system.folder()).stdin(Stdio::piped());
    if password.is_some() {
        command.arg("--password-stdin");
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let (Some(password), Some(stdin)) = (password, child.stdin.as_mut()) {
        writeln!(stdin, "{password}")?;
    }
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
