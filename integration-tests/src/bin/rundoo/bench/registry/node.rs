//! A registry that runs alone: no other service is there, and its log travels nowhere.

use std::net::SocketAddr;

use anyhow::Context as _;
use harness::system::{free_port, loopback};
use harness::{Process, Program, binaries};
use proto::registry::registry_service_client::RegistryServiceClient;
use tempfile::TempDir;
use tonic::transport::Channel;

/// A client over a plain connection of its own.
pub(crate) type Client = RegistryServiceClient<Channel>;

/// One registry, on a port that stays the same when it is started again.
pub(crate) struct Node {
    folder: TempDir,
    address: SocketAddr,
    process: Option<Process>,
}

impl Node {
    /// Starts it and waits until it serves.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("rundoo-").tempdir()?;
        let mut node = Self { folder, address: loopback(free_port()?), process: None };
        node.launch()?;
        node.process_mut()?.address().await?;
        Ok(node)
    }

    /// Starts the process without waiting for it.
    pub(crate) fn launch(&mut self) -> anyhow::Result<()> {
        let program = Program::new(&binaries::folder()?, "registry", self.folder.path())
            .set("REGISTRY_LISTEN", self.address)
            .set("RUNDOO_REGISTRY", self.address);
        self.process = Some(program.start()?);
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("the registry is not running")?.kill().await
    }

    /// A new connection.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        Ok(RegistryServiceClient::new(harness::health::connect(self.address).await?))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn process(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("the registry is not running")
    }

    fn process_mut(&mut self) -> anyhow::Result<&mut Process> {
        self.process.as_mut().context("the registry is not running")
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process()?.pid().context("it runs")
    }
}
