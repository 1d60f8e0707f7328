//! Specimens beside a registry: a small mesh whose service does what it is told.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Context as _;
use futures_util::future::join_all;
use proto::mesh::mesh_service_client::MeshServiceClient;
use proto::mesh::{GetStatsRequest, Stats};

use crate::specimen::specimen_service_client::SpecimenServiceClient;
use crate::specimen::{DESCRIPTORS, EchoRequest, ReportRequest, ReportResponse, SERVICE, Task};
use crate::system::{Options, Role, System};
use crate::{Process, Program, binaries, eventually, health};

/// Settings of one process.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// A client over a plain connection.
pub type Plain = SpecimenServiceClient<tonic::transport::Channel>;

/// A registry and some specimens. The processes end with it.
#[derive(Debug)]
pub struct Specimens {
    system: System,
    running: Vec<Running>,
    /// One channel for all clients: a process keeps its picture, so the harness does too.
    channel: mesh::Channel,
}

#[derive(Debug)]
struct Running {
    /// None once it was ended.
    process: Option<Process>,
    address: SocketAddr,
}

impl Specimens {
    /// Starts so many, with the usual settings, and waits until they are found.
    pub async fn start(count: usize) -> anyhow::Result<Self> {
        Self::with(&vec![&[][..]; count]).await
    }

    /// Starts one for each list of settings, and waits until they are found.
    pub async fn with(settings: &[Settings<'_>]) -> anyhow::Result<Self> {
        let mut system = System::prepare(Options::default())?;
        system.launch(Role::Registry).await?;
        Self::beside(system, settings).await
    }

    /// The same beside processes that run already; a registry is among them.
    pub async fn beside(system: System, settings: &[Settings<'_>]) -> anyhow::Result<Self> {
        let channel = system.mesh().channel(SERVICE, DESCRIPTORS);
        let mut specimens = Self { system, running: Vec::new(), channel };
        for settings in settings {
            specimens.add(settings).await?;
        }
        specimens.ready().await;
        Ok(specimens)
    }

    /// Starts one more and waits until it serves; answers its number.
    pub async fn add(&mut self, settings: Settings<'_>) -> anyhow::Result<usize> {
        let number = self.running.len();
        let program = Program::new(&binaries::build()?, SERVICE, self.system.folder())
            .label(format!("{SERVICE} {number}"))
            .set("RUNDOO_SPOOL", self.system.folder().join("data/spool").display())
            .set("RUNDOO_REGISTRY", self.system.address(Role::Registry)?);
        let mut process = settings.iter().fold(program, |program, (name, value)| program.set(name, value)).start()?;
        let address = process.address().await?;
        self.running.push(Running { process: Some(process), address });
        Ok(number)
    }

    /// Waits until the client reaches every running one.
    pub async fn ready(&self) {
        let count = self.running.iter().filter(|running| running.process.is_some()).count();
        // Many at once, or the quickest would answer them all.
        let calls = if count > 1 { count * 8 } else { count };
        let seen = tokio::sync::Mutex::new(BTreeSet::new());
        eventually("every specimen is reached", async || {
            let answers = join_all((0..calls).map(|_| {
                let mut client = self.client();
                async move { client.echo(EchoRequest { text: String::new(), task: Some(Task::default()) }).await }
            }));
            let mut seen = seen.lock().await;
            for answer in answers.await {
                seen.insert(answer?.into_inner().instance);
            }
            anyhow::ensure!(seen.len() >= count, "{} of {count} are", seen.len());
            Ok(())
        })
        .await;
    }

    /// A client through the mesh.
    pub fn client(&self) -> SpecimenServiceClient<mesh::Channel> {
        SpecimenServiceClient::new(self.channel.clone())
    }

    /// A client over a plain connection of its own to one.
    pub async fn plain(&self, number: usize) -> anyhow::Result<Plain> {
        Ok(SpecimenServiceClient::new(health::connect(self.address(number)?).await?))
    }

    /// Where one serves.
    pub fn address(&self, number: usize) -> anyhow::Result<SocketAddr> {
        self.running.get(number).map(|running| running.address).context("it was never started")
    }

    /// What one says of its handlers.
    pub async fn report(&self, number: usize) -> anyhow::Result<ReportResponse> {
        Ok(self.plain(number).await?.report(ReportRequest {}).await?.into_inner())
    }

    /// What the mesh in one says of its calls.
    pub async fn stats(&self, number: usize) -> anyhow::Result<Stats> {
        stats(self.address(number)?).await
    }

    /// The process of one.
    pub fn process(&mut self, number: usize) -> anyhow::Result<&mut Process> {
        self.running.get_mut(number).and_then(|running| running.process.as_mut()).context("it is not running")
    }

    /// Kills one with SIGKILL.
    pub async fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        self.take(number)?.kill().await
    }

    /// Stops one in order and answers what it printed.
    pub async fn stop(&mut self, number: usize) -> anyhow::Result<String> {
        let mut process = self.take(number)?;
        let status = process.stop().await?;
        anyhow::ensure!(status.success(), "it ended with {status}:\n{}", process.output());
        Ok(process.output())
    }

    fn take(&mut self, number: usize) -> anyhow::Result<Process> {
        self.running.get_mut(number).and_then(|running| running.process.take()).context("it is not running")
    }

    /// The processes beside the specimens.
    pub fn system(&mut self) -> &mut System {
        &mut self.system
    }
}

/// What the mesh in a process says of its calls.
pub async fn stats(address: SocketAddr) -> anyhow::Result<Stats> {
    let mut client = MeshServiceClient::new(health::connect(address).await?);
    client.get_stats(GetStatsRequest {}).await?.into_inner().stats.context("no stats")
}
