//! A herd of clients in a process of its own, and what it says.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use harness::{Process, Program, binaries};
use tokio::sync::watch;
use tokio::time::Instant;

/// Ten thousand leases in etcd take half a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often we look whether something was said.
const LOOK: Duration = Duration::from_millis(5);

/// What it says of each beat, when it is asked to.
const BEAT: &str = "beat ";

/// A running herd. It is killed when this is dropped.
pub(crate) struct Herd {
    process: Process,
    beats: watch::Receiver<u64>,
}

impl Herd {
    /// Starts a herd; its arguments are parted by spaces.
    pub(crate) fn start(at: SocketAddr, arguments: &str) -> anyhow::Result<Self> {
        let (beat, beats) = watch::channel(0);
        let program = Program::new(&binaries::folder()?, "herd", &std::env::temp_dir())
            .argument("--at")
            .argument(at.to_string())
            .on_line(std::sync::Arc::new(move |line| {
                if line.starts_with(BEAT) {
                    beat.send_modify(|count| *count += 1);
                }
            }));
        let process = arguments.split_whitespace().fold(program, Program::argument).start()?;
        Ok(Self { process, beats })
    }

    /// Starts a herd and waits until it says that it is ready.
    pub(crate) async fn ready(at: SocketAddr, arguments: &str) -> anyhow::Result<Self> {
        let mut herd = Self::start(at, arguments)?;
        herd.says("ready").await?;
        Ok(herd)
    }

    /// The number that it says after this name, once it does.
    pub(crate) async fn says(&mut self, name: &str) -> anyhow::Result<f64> {
        let (mark, end) = (format!("{name} "), Instant::now() + PATIENCE);
        loop {
            if let Some(value) = self.process.find(&mark) {
                return value.parse().with_context(|| format!("the herd says {name} {value:?}"));
            }
            let ended = self.process.ended();
            if ended.is_some() || Instant::now() >= end {
                anyhow::bail!("the herd never says {name}: {ended:?}\n{}", self.process.last_lines(12));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a beat of it was answered; it must have been asked to say so.
    pub(crate) async fn beat(&mut self) -> anyhow::Result<()> {
        self.beats.borrow_and_update();
        Ok(self.beats.changed().await?)
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}
