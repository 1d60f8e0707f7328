//! The smallest mesh there is: a registry, a log service and specimens, in a folder of their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use harness::specimen::specimen_service_client::SpecimenServiceClient;
use harness::specimen::{DESCRIPTORS, ReportRequest, ReportResponse, SERVICE};
use harness::system::{free_port, loopback};
use harness::{Process, Program, binaries};
use proto::mesh::GetStatsRequest;
use proto::mesh::mesh_service_client::MeshServiceClient;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DiscoverRequest, InstanceState};
use tempfile::TempDir;

use crate::bench::mesh::calls;

/// A client of specimens, over whatever carries its calls.
pub(crate) type Client = SpecimenServiceClient<mesh::Channel>;

/// An environment variable and its value.
pub(crate) type Setting = (&'static str, &'static str);

/// A registry and a log service, each on a free port.
pub(crate) struct Lab {
    folder: TempDir,
    binaries: PathBuf,
    registry: SocketAddr,
    mesh: mesh::Mesh,
    _services: [Process; 2],
}

/// A specimen that runs.
pub(crate) struct Specimen {
    process: Process,
    address: SocketAddr,
}

impl Lab {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("rundoo-").tempdir()?;
        let (binaries, registry) = (binaries::folder()?, loopback(free_port()?));
        let program = |name| {
            Program::new(&binaries, name, folder.path())
                .set("RUNDOO_REGISTRY", registry)
                .set("REGISTRY_LISTEN", registry)
                .set("LOGSVC_LISTEN", loopback(0))
                .set("LOGSVC_FILE", "data/app.log")
                .set("LOGSVC_DATA", "data/logs")
                .set("RUNDOO_SPOOL", "data/spool")
        };
        let mut services = [program("logsvc").start()?, program("registry").start()?];
        for service in &mut services {
            service.address().await?;
        }
        let mesh = mesh::Mesh::client(&[registry.to_string()]);
        Ok(Self { folder, binaries, registry, mesh, _services: services })
    }

    /// Starts a specimen with these settings, and waits until it serves.
    pub(crate) async fn specimen(&self, settings: &[Setting]) -> anyhow::Result<Specimen> {
        let program = Program::new(&self.binaries, "specimen", self.folder.path());
        self.launch(program, settings).await
    }

    /// The same on one core only.
    pub(crate) async fn specimen_on(&self, core: usize, settings: &[Setting]) -> anyhow::Result<Specimen> {
        let program = Program::new("/usr/bin".as_ref(), "taskset", self.folder.path())
            .argument("--cpu-list")
            .argument(core.to_string())
            .argument(self.binaries.join("specimen").display().to_string());
        self.launch(program, settings).await
    }

    async fn launch(&self, program: Program, settings: &[Setting]) -> anyhow::Result<Specimen> {
        let program =
            program.set("RUNDOO_REGISTRY", self.registry).set("RUNDOO_SPOOL", "data/spool").set("RUNDOO_LOG", "info");
        let program = settings.iter().fold(program, |program, (name, value)| program.set(name, value));
        let mut process = program.start()?;
        let address = process.address().await?;
        Ok(Specimen { process, address })
    }

    /// A client as a service has it: a channel of its own that finds instances through the registry.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.mesh.channel(SERVICE, DESCRIPTORS))
    }

    /// Waits until the registry lists so many specimens that take calls.
    pub(crate) async fn until_ready(&self, wanted: usize) {
        let registry = RegistryServiceClient::new(self.mesh.registry());
        harness::eventually("every specimen takes calls", async || {
            let request = DiscoverRequest { service: SERVICE.to_owned(), ..Default::default() };
            let listed = registry.clone().discover(request).await?.into_inner().instances;
            let ready = listed.iter().filter(|one| one.state() == InstanceState::Ready).count();
            anyhow::ensure!(ready == wanted, "{ready} of {wanted} do");
            Ok(())
        })
        .await;
    }

    /// A client that has reached an instance, once so many take calls.
    pub(crate) async fn client_of(&self, wanted: usize) -> Client {
        self.until_ready(wanted).await;
        let client = self.client();
        harness::eventually("the client reaches a specimen", async || calls::read(client.clone()).await).await;
        client
    }
}

impl Specimen {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(self) -> anyhow::Result<()> {
        self.process.kill().await
    }

    /// Stops it in order.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let status = self.process.stop().await?;
        anyhow::ensure!(status.success(), "it ended with {status}:\n{}", self.process.output());
        Ok(())
    }

    /// What became of its calls, asked over a connection of its own.
    pub(crate) async fn report(&self) -> anyhow::Result<ReportResponse> {
        let mut client = SpecimenServiceClient::new(harness::health::connect(self.address).await?);
        Ok(client.report(ReportRequest {}).await?.into_inner())
    }

    /// How many calls it works on at the same time, as it found out itself.
    pub(crate) async fn limit(&self) -> anyhow::Result<u32> {
        let mut client = MeshServiceClient::new(harness::health::connect(self.address).await?);
        let stats = client.get_stats(GetStatsRequest {}).await?.into_inner().stats.unwrap_or_default();
        Ok(stats.concurrency.unwrap_or_default().limit)
    }
}
