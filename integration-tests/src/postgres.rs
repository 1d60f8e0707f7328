//! A throwaway PostgreSQL from the machine's own server programs.
//!
//! One server per test process, one database per test. It runs as another user
//! when we are root, because it refuses to be root, and ends however we end: a
//! shell waits for our end of a pipe and then stops it and removes its files.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::skip::skip;
use crate::system::free_port;

/// How to get what is missing.
const ENABLE: &str = "apt-get install postgresql (or set TEST_DATABASE_URL=postgres://…)";

/// The guard: stops the server when standard input ends, then removes its folder unless it is kept.
const GUARD: &str = r#""$0" -D "$1" -p "$2" -k "$1" -c listen_addresses=127.0.0.1 -c max_connections=200 & server=$!
cat >/dev/null; kill -INT $server; wait $server; if [ -z "$3" ]; then rm -rf "${1%/data}"; fi"#;

/// A server whose data stays when it ends.
#[derive(Debug)]
pub struct Kept {
    url: String,
    guard: Child,
}

/// Starts a server on the data in a folder, which is made when missing; none when the
/// machine has no server programs.
pub fn keep(folder: &Path) -> anyhow::Result<Option<Kept>> {
    let Some(tools) = tools() else { return Ok(None) };
    if !folder.exists() {
        std::fs::create_dir_all(folder)?;
        initialize(&tools, folder)?;
    }
    let (url, guard) = serve(&tools, folder, true)?;
    Ok(Some(Kept { url, guard }))
}

impl Kept {
    /// Where its database is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it, and waits until it has.
    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(self.guard.stdin.take());
        self.guard.wait().context("could not wait for PostgreSQL")?;
        Ok(())
    }
}

/// Its version, and how it forces commits to the disk.
pub fn durability(url: &str) -> anyhow::Result<String> {
    const SETTINGS: &str = "SELECT 'PostgreSQL ' || current_setting('server_version') || ': '
            || string_agg(name || '=' || current_setting(name), ', ' ORDER BY name)
        FROM pg_settings
        WHERE name IN ('fsync', 'synchronous_commit', 'wal_sync_method', 'full_page_writes', 'shared_buffers')";

    let output = client(url)?.arg("--command").arg(SETTINGS).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

struct Server {
    url: String,
    tools: PathBuf,
    /// Holds the pipe whose end ends the server.
    _guard: Option<Child>,
}

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

/// The URL of a new, empty database; none, said and counted, when the machine has no PostgreSQL.
pub fn database() -> anyhow::Result<Option<String>> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if server.is_none() {
        let Some(tools) = tools() else {
            skip("the PostgreSQL part of a test: no server programs found", ENABLE);
            return Ok(None);
        };
        *server = Some(match std::env::var_os("TEST_DATABASE_URL") {
            Some(url) => Server { url: url.to_string_lossy().into_owned(), tools, _guard: None },
            None => start(tools)?,
        });
    }
    let server = server.as_ref().context("there is a server now")?;
    let name = format!("rundoo_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let created = Command::new(server.tools.join("createdb"))
        .arg(format!("--maintenance-db={}", server.url))
        .arg(&name)
        .output()?;
    anyhow::ensure!(
        created.status.success(),
        "could not create a database: {}",
        String::from_utf8_lossy(&created.stderr)
    );
    let (base, _) = server.url.rsplit_once('/').context("the URL names no database")?;
    Ok(Some(format!("{base}/{name}")))
}

/// The command line client, to reach a database beside the services.
pub fn client(url: &str) -> anyhow::Result<Command> {
    let mut client = Command::new(tools().context("no server programs found")?.join("psql"));
    client.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]).arg(url);
    Ok(client)
}

/// The folder of the server's programs: Debian keeps them off the PATH.
fn tools() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    for versions in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        folders.push(versions.path().join("bin"));
    }
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("createdb").exists())
}

fn start(tools: PathBuf) -> anyhow::Result<Server> {
    let folder = tempfile::Builder::new().prefix("rundoo-postgres-").tempdir()?.keep();
    initialize(&tools, &folder)?;
    let (url, guard) = serve(&tools, &folder, false)?;
    Ok(Server { url, tools, _guard: Some(guard) })
}

/// Makes the data of a server in an empty folder.
fn initialize(tools: &Path, folder: &Path) -> anyhow::Result<()> {
    let user = server_user()?;
    if let Some(user) = user {
        rustix::fs::chown(folder, Some(rustix::fs::Uid::from_raw(user)), None)?;
    }
    let mut initdb = Command::new(tools.join("initdb"));
    initdb.args(["-U", "rundoo", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"]);
    initdb.arg(folder.join("data")).current_dir(folder);
    let made = as_user(&mut initdb, user).output()?;
    anyhow::ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// Starts a server on the data in a folder: its URL, and the shell that guards it.
fn serve(tools: &Path, folder: &Path, is_kept: bool) -> anyhow::Result<(String, Child)> {
    let port = free_port()?;
    let log = std::fs::File::create(folder.join("log"))?;
    let mut guard = Command::new("sh");
    guard.arg("-c").arg(GUARD).arg(tools.join("postgres")).arg(folder.join("data")).arg(port.to_string());
    guard.arg(if is_kept { "kept" } else { "" });
    guard.current_dir(folder).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    // Away from the terminal's Ctrl-C: it ends after the tests, not with them.
    let guard = as_user(guard.process_group(0), server_user()?).spawn().context("could not start PostgreSQL")?;
    wait_until_ready(tools, port, folder)?;
    Ok((format!("postgres://rundoo@127.0.0.1:{port}/postgres"), guard))
}

fn wait_until_ready(tools: &Path, port: u16, folder: &Path) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let ready =
            Command::new(tools.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status()?;
        if ready.success() {
            return Ok(());
        }
        if Instant::now() > end {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            anyhow::bail!("PostgreSQL did not start:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The user to run the server as, when we are root: Debian's own, or nobody.
fn server_user() -> anyhow::Result<Option<u32>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let id =
        |name: &str| users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').nth(2)?.parse().ok();
    Ok(id("postgres").or_else(|| id("nobody")))
}

fn as_user(command: &mut Command, user: Option<u32>) -> &mut Command {
    match user {
        Some(user) => command.uid(user),
        None => command,
    }
}
