//! One running program: its output, its address, its end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Lines that are kept to be shown when the program dies.
const KEPT_LINES: usize = 400;

/// A stop is bounded at 15 s by the program itself; after this it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(17);

/// A child that outlives the program may hold its pipes open: they are read for this long.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a program says in its log once it serves.
const SERVING: &str = "serving gRPC on ";

/// Called with each line that a program prints.
pub type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

/// A program that is to be started.
#[derive(Clone)]
pub struct Program {
    binary: PathBuf,
    label: String,
    arguments: Vec<String>,
    settings: Vec<(String, String)>,
    folder: PathBuf,
    on_line: Option<OnLine>,
}

impl Program {
    /// The program `name` among the built ones, run in `folder`.
    pub fn new(binaries: &Path, name: &str, folder: &Path) -> Self {
        let (binary, folder) = (binaries.join(name), folder.to_owned());
        Self { binary, label: name.to_owned(), arguments: Vec::new(), settings: Vec::new(), folder, on_line: None }
    }

    /// The same under another label, for people.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a command line argument.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable.
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Calls `on_line` with each line that it prints.
    pub fn on_line(mut self, on_line: OnLine) -> Self {
        self.on_line = Some(on_line);
        self
    }

    /// Starts it.
    pub fn start(&self) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            // However we end, the pipe closes, and the program stops by itself.
            .env("RUNDOO_STOP_ON_EOF", "true")
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C goes to us; we stop the others in order.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("could not start {}", self.binary.display()))?;
        let output = Arc::new(Output { on_line: self.on_line.clone(), ..Output::default() });
        let mut readers = Vec::new();
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            readers.push(mesh::spawn("stdout", output.clone().read(stdout)));
            readers.push(mesh::spawn("stderr", output.clone().read(stderr)));
        }
        // Taken out, because waiting for a child would close it.
        let stdin = child.stdin.take();
        Ok(Process { label: self.label.clone(), pid: child.id(), child, output, readers, _stdin: stdin })
    }
}

/// A program that was started. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    label: String,
    pid: Option<u32>,
    child: Child,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
    /// Open for as long as this lives: its end tells the program to stop.
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// What people call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The address that it serves gRPC on, once it does. Fails when it ends instead.
    pub async fn address(&mut self) -> anyhow::Result<SocketAddr> {
        let mut lines = self.output.count.subscribe();
        loop {
            lines.borrow_and_update();
            if let Some(address) = self.output.serving.get() {
                return address.parse().context("the program printed no address");
            }
            tokio::select! {
                changed = lines.changed() => changed?,
                status = self.child.wait() => {
                    self.last_words().await;
                    anyhow::bail!("{} ended ({}):\n{}", self.label, describe(status?), self.last_lines(12));
                }
            }
        }
    }

    /// What stands after `mark` in the first printed line that has it, up to a space.
    pub fn find(&self, mark: &str) -> Option<String> {
        let lines = self.output.lock();
        lines.iter().find_map(|line| behind(line, mark))
    }

    /// Waits until it has printed nothing for so long.
    pub fn silence(&self, most: Duration) -> impl Future<Output = ()> + use<> {
        let mut lines = self.output.count.subscribe();
        async move { while let Ok(Ok(())) = tokio::time::timeout(most, lines.changed()).await {} }
    }

    /// Everything that it printed lately.
    pub fn output(&self) -> String {
        self.last_lines(KEPT_LINES)
    }

    /// The last lines that it printed.
    pub fn last_lines(&self, count: usize) -> String {
        let lines = self.output.lock();
        let start = lines.len().saturating_sub(count);
        lines.iter().skip(start).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end and for its last words.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.last_words().await;
        Ok(status)
    }

    /// Waits for its end and for its last words: how it ended, and what it printed.
    pub async fn finish(mut self) -> anyhow::Result<(ExitStatus, String)> {
        let status = self.wait().await?;
        Ok((status, self.output()))
    }

    /// What a program said last may still be in the pipe when it has ended.
    async fn last_words(&mut self) {
        let readers = async {
            while let Some(reader) = self.readers.last_mut() {
                let _said = reader.await;
                self.readers.pop();
            }
        };
        let _open = tokio::time::timeout(LAST_WORDS, readers).await;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).context("it has no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Stops it where it stands, as a hang would: SIGSTOP, until SIGCONT.
    ///
    /// Returns once every thread has stopped: the signal alone is only on its way.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        let pid = self.pid.context("it has no process id")?;
        let has_stopped = |task: std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("stat")).is_ok_and(|stat| stat.contains(") T "))
        };
        while !std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten().all(has_stopped) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Ends it as a crash would: SIGKILL.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("could not kill {}", self.label))
    }

    /// Stops it in order: SIGTERM, and SIGKILL when that takes too long.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(status) => {
                self.last_words().await;
                Ok(status?)
            }
            Err(_) => {
                self.child.kill().await?;
                anyhow::bail!("{} did not stop in {STOP_TIMEOUT:?} and was killed", self.label)
            }
        }
    }
}

/// How a program ended, in words.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "unknown end".to_owned(),
    }
}

#[derive(Default)]
struct Output {
    lines: Mutex<VecDeque<String>>,
    /// Where it serves. Who says much may have gone on by hundreds of lines before that is asked for.
    serving: OnceLock<String>,
    count: watch::Sender<u64>,
    on_line: Option<OnLine>,
}

/// What stands after `mark` in a line that has it, up to a space.
fn behind(line: &str, mark: &str) -> Option<String> {
    let (_, rest) = line.split_once(mark)?;
    Some(rest.split(['\u{1b}', ' ']).next().unwrap_or_default().to_owned())
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

impl Output {
    async fn read(self: Arc<Self>, pipe: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(on_line) = &self.on_line {
                on_line(&line);
            }
            if let Some(address) = behind(&line, SERVING) {
                self.serving.get_or_init(|| address);
            }
            let mut kept = self.lock();
            kept.push_back(line);
            if kept.len() > KEPT_LINES {
                kept.pop_front();
            }
            drop(kept);
            self.count.send_modify(|count| *count += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
