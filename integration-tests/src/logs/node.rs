//! A log service that runs alone: no registry is there, and nobody else logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use proto::logs::log_service_client::LogServiceClient;
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::process::{Process, Program};
use crate::system::{free_port, loopback};
use crate::{binaries, health};

/// A client over a plain connection of its own, which comes back after a restart.
pub type Client = LogServiceClient<Channel>;

/// Answers of a search may be a little larger than gRPC's usual 4 MiB.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// One log service, on a port and in a folder that stay the same when it is started again.
#[derive(Debug)]
pub struct Node {
    folder: TempDir,
    data: PathBuf,
    binaries: PathBuf,
    address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    process: Option<Process>,
}

impl Node {
    /// Builds what is to be tested, starts it and waits until it serves.
    pub async fn start() -> anyhow::Result<Self> {
        let mut node = Self::new(&binaries::build()?)?;
        node.launch().await?;
        Ok(node)
    }

    /// One that is not started yet.
    pub fn new(binaries: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("rundoo-").tempdir()?;
        let data = folder.path().join("logs");
        let (binaries, address) = (binaries.to_owned(), loopback(free_port()?));
        Ok(Self { folder, data, binaries, address, settings: Vec::new(), process: None })
    }

    /// The same with its log in another folder.
    pub fn data_in(self, data: PathBuf) -> Self {
        Self { data, ..self }
    }

    /// The same with a setting.
    pub fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// Starts it, waits until it serves and answers how long that took.
    pub async fn launch(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.spawn()?;
        self.process()?.address().await?;
        Ok(began.elapsed())
    }

    /// Starts it without waiting for it.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        let program = Program::new(&self.binaries, "logsvc", self.folder.path())
            .set("LOGSVC_LISTEN", self.address)
            .set("LOGSVC_DATA", self.data.display())
            .set("LOGSVC_FILE", self.folder.path().join("app.log").display())
            .set("RUNDOO_SPOOL", self.folder.path().join("spool").display())
            // Nobody listens there.
            .set("RUNDOO_REGISTRY", loopback(1));
        let program = self.settings.iter().fold(program, |program, (name, value)| program.set(name, value));
        self.process = Some(program.start()?);
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("the log service is not running")?.kill().await
    }

    /// Stops it in order.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("the log service is not running")?;
        let status = process.stop().await?;
        anyhow::ensure!(status.success(), "it ended with {status}:\n{}", process.output());
        Ok(())
    }

    /// The running process.
    pub fn process(&mut self) -> anyhow::Result<&mut Process> {
        self.process.as_mut().context("the log service is not running")
    }

    /// Its process id.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.process.as_ref().and_then(Process::pid).context("the log service is not running")
    }

    /// A new connection.
    pub async fn connect(&self) -> anyhow::Result<Channel> {
        health::connect(self.address).await
    }

    /// A client with a new connection.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.connect().await?).max_decoding_message_size(LARGEST_ANSWER))
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of its log.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What a part of its log takes on disk, in bytes: `segments` or `wal`.
    pub fn bytes_of(&self, part: &str) -> anyhow::Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        let mut bytes = 0;
        for entry in std::fs::read_dir(self.data.join(part))? {
            let about = entry?.metadata()?;
            // What is allotted, since files are preallocated.
            bytes += if about.is_file() { about.blocks() * 512 } else { 0 };
        }
        Ok(bytes)
    }
}
