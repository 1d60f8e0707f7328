//! The four processes, on free ports, in a folder of their own.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use mesh::RegistryAddress;
use proto::logs::log_service_client::LogServiceClient;
use proto::products::ListProductsRequest;
use proto::products::product_service_client::ProductServiceClient;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DiscoverRequest, Instance};
use tempfile::TempDir;

use crate::certificates::{Certificates, OPERATOR, Protection};
use crate::http::{self, Page};
use crate::process::{Process, Program};
use crate::{binaries, eventually, health, postgres};

/// Which process of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The log service: first to start and last to stop, so that it hears the others' last words.
    Logs,
    /// The registry.
    Registry,
    /// A product service; they are numbered from 0.
    Products(usize),
    /// The portal.
    Portal,
}

impl Role {
    /// The service's name in the registry, which is the program's name too.
    pub fn service(self) -> &'static str {
        match self {
            Self::Logs => "logsvc",
            Self::Registry => "registry",
            Self::Products(_) => "productsvc",
            Self::Portal => "portal",
        }
    }
}

/// A system that is to be started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How many product services; 0 means 1.
    pub products: usize,
    /// `DATABASE_URL`; none is SQLite in the system's folder.
    pub database_url: Option<String>,
    /// Further settings for every process.
    pub settings: Vec<(&'static str, String)>,
    /// How connections between processes are protected.
    pub protection: Protection,
}

impl Options {
    /// The same on SQLite, and on a new PostgreSQL database when the machine has a server.
    pub fn on_each_database(&self) -> anyhow::Result<Vec<Self>> {
        let postgres = postgres::database()?.map(|url| Self { database_url: Some(url), ..self.clone() });
        Ok([self.clone()].into_iter().chain(postgres).collect())
    }
}

/// A running system. Its processes end with it.
#[derive(Debug)]
pub struct System {
    folder: TempDir,
    binaries: PathBuf,
    options: Options,
    certificates: Option<Certificates>,
    ports: Ports,
    processes: BTreeMap<Role, Process>,
    addresses: BTreeMap<Role, SocketAddr>,
    mesh: mesh::Mesh,
    /// One channel for all clients: a process keeps its picture, so the harness does too.
    products: mesh::Channel,
    logs: mesh::Channel,
}

/// Ports that stay the same when a process is started again.
#[derive(Debug, Clone, Copy)]
struct Ports {
    registry: u16,
    portal_http: u16,
}

impl System {
    /// Starts one of each on SQLite, and waits until they find each other.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(Options::default()).await
    }

    /// Starts a system and waits until its processes find each other.
    pub async fn with(options: Options) -> anyhow::Result<Self> {
        let mut system = Self::prepare(options)?;
        for role in system.roles() {
            system.launch(role).await?;
        }
        system.ready().await;
        Ok(system)
    }

    /// A system of which nothing is started yet.
    pub fn prepare(options: Options) -> anyhow::Result<Self> {
        let binaries = binaries::build()?;
        let ports = Ports { registry: free_port()?, portal_http: free_port()? };
        let folder = tempfile::Builder::new().prefix("rundoo-").tempdir()?;
        let mut registry = RegistryAddress::plain(vec![loopback(ports.registry).to_string()]);
        let certificates = match options.protection {
            Protection::None => None,
            Protection::Tls | Protection::Policy => Some(Certificates::complete(&folder.path().join("tls"))?),
        };
        if let Some(certificates) = &certificates {
            registry.tls = certificates.files(OPERATOR);
        }
        let mesh = mesh::Mesh::client_of(&registry)?;
        let products = mesh.channel("productsvc", proto::products::DESCRIPTORS);
        let logs = mesh.channel("logsvc", proto::logs::DESCRIPTORS);
        let (processes, addresses) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { folder, binaries, options, certificates, ports, processes, addresses, mesh, products, logs })
    }

    /// All processes, in the order in which they start.
    pub fn roles(&self) -> Vec<Role> {
        let products = (0..self.options.products.max(1)).map(Role::Products);
        [Role::Logs, Role::Registry].into_iter().chain(products).chain([Role::Portal]).collect()
    }

    /// Starts one process and waits until it serves.
    pub async fn launch(&mut self, role: Role) -> anyhow::Result<SocketAddr> {
        let mut process = self.program(role).start()?;
        let address = process.address().await?;
        self.processes.insert(role, process);
        self.addresses.insert(role, address);
        Ok(address)
    }

    /// Starts processes in the same moment and waits until each serves.
    pub async fn launch_together(&mut self, roles: &[Role]) -> anyhow::Result<()> {
        let started = roles.iter().map(|role| self.program(*role).start()).collect::<anyhow::Result<Vec<_>>>()?;
        for (role, mut process) in roles.iter().zip(started) {
            let address = process.address().await?;
            self.processes.insert(*role, process);
            self.addresses.insert(*role, address);
        }
        Ok(())
    }

    /// Waits until the registry lists every started process, and clients of it reach products.
    pub async fn ready(&self) {
        self.ready_with(self.processes.len()).await;
        // What the registry lists, each client hears a moment later: so do we, and so does the portal.
        if self.processes.keys().any(|role| matches!(role, Role::Products(_))) {
            eventually("our own client reaches products", async || {
                self.products().list_products(ListProductsRequest { page_size: 1, ..Default::default() }).await?;
                Ok(())
            })
            .await;
        }
        if self.processes.contains_key(&Role::Portal) {
            eventually("the portal shows products", async || {
                let page = self.get("/").await?;
                let is_guarded = page.location().starts_with("/login");
                anyhow::ensure!(page.status.is_success() || is_guarded, "it answers {}", page.status);
                Ok(())
            })
            .await;
        }
    }

    /// Waits until the registry lists so many instances.
    pub async fn ready_with(&self, wanted: usize) {
        eventually("every process is registered", async || {
            let listed = self.instances().await?;
            anyhow::ensure!(listed.len() == wanted, "{} of {wanted} are", listed.len());
            Ok(())
        })
        .await;
    }

    /// One process.
    pub fn process(&mut self, role: Role) -> anyhow::Result<&mut Process> {
        self.processes.get_mut(&role).with_context(|| format!("{role:?} is not running"))
    }

    /// Kills a process with SIGKILL.
    pub async fn kill(&mut self, role: Role) -> anyhow::Result<()> {
        self.processes.remove(&role).with_context(|| format!("{role:?} is not running"))?.kill().await
    }

    /// Stops a process in order and answers what it printed.
    pub async fn stop(&mut self, role: Role) -> anyhow::Result<String> {
        let mut process = self.processes.remove(&role).with_context(|| format!("{role:?} is not running"))?;
        let status = process.stop().await?;
        anyhow::ensure!(status.success(), "{role:?} ended with {status}:\n{}", process.output());
        Ok(process.output())
    }

    /// Fails unless every started process is SERVING.
    pub async fn check_health(&self) -> anyhow::Result<()> {
        for role in self.processes.keys() {
            let connection = health::connect_by(&self.mesh, self.address(*role)?).await?;
            health::check_on(connection).await.with_context(|| format!("{role:?}"))?;
        }
        Ok(())
    }

    /// Where a process serves gRPC.
    pub fn address(&self, role: Role) -> anyhow::Result<SocketAddr> {
        self.addresses.get(&role).copied().with_context(|| format!("{role:?} was never started"))
    }

    /// Where the portal serves pages.
    pub fn portal(&self) -> SocketAddr {
        loopback(self.ports.portal_http)
    }

    /// What its processes trust each other by; an error when they do not.
    pub fn certificates(&self) -> anyhow::Result<&Certificates> {
        self.certificates.as_ref().context("the system is not protected")
    }

    /// The mesh, as a client sees it.
    pub fn mesh(&self) -> &mesh::Mesh {
        &self.mesh
    }

    /// A client of the product services, through the mesh.
    pub fn products(&self) -> ProductServiceClient<mesh::Channel> {
        ProductServiceClient::new(self.products.clone())
    }

    /// A client of the log service, through the mesh.
    pub fn logs(&self) -> LogServiceClient<mesh::Channel> {
        LogServiceClient::new(self.logs.clone())
    }

    /// A client of the registry.
    pub fn registry(&self) -> RegistryServiceClient<mesh::Channel> {
        RegistryServiceClient::new(self.mesh.registry())
    }

    /// The instances that the registry lists.
    pub async fn instances(&self) -> anyhow::Result<Vec<Instance>> {
        Ok(self.registry().discover(DiscoverRequest::default()).await?.into_inner().instances)
    }

    /// Where its products are kept.
    pub fn database_url(&self) -> String {
        let own = || format!("sqlite://{}", self.folder().join("data/products.db").display());
        self.options.database_url.clone().unwrap_or_else(own)
    }

    /// The log as it is on disk.
    pub fn app_log(&self) -> String {
        std::fs::read_to_string(self.folder().join("data/app.log")).unwrap_or_default()
    }

    /// The folder that the processes run in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Gets a page of the portal.
    pub async fn get(&self, path: &str) -> anyhow::Result<Page> {
        http::get(self.portal(), path).await
    }

    /// Posts a form to the portal.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        http::post(self.portal(), path, fields).await
    }

    /// A program with the system's settings.
    pub fn program(&self, role: Role) -> Program {
        let label = match role {
            Role::Products(number) if number > 0 => format!("productsvc {}", number + 1),
            _ => role.service().to_owned(),
        };
        let any = loopback(0);
        let database = self.options.database_url.clone().unwrap_or_else(|| "sqlite://data/products.db".to_owned());
        let program = Program::new(&self.binaries, role.service(), self.folder())
            .label(label)
            .set("RUNDOO_REGISTRY", loopback(self.ports.registry))
            .set("REGISTRY_LISTEN", loopback(self.ports.registry))
            .set("LOGSVC_LISTEN", any)
            .set("LOGSVC_FILE", "data/app.log")
            .set("LOGSVC_DATA", "data/logs")
            .set("RUNDOO_SPOOL", self.folder().join("data/spool").display())
            .set("PRODUCTSVC_LISTEN", any)
            .set("DATABASE_URL", database)
            .set("PORTAL_LISTEN", any)
            .set("PORTAL_HTTP_LISTEN", self.portal());
        let program = match &self.certificates {
            Some(certificates) => certificates.give(program, role.service()),
            None => program,
        };
        let program = match (self.options.protection, &self.certificates) {
            (Protection::Policy, Some(certificates)) => program.set("RUNDOO_POLICY", certificates.policy().display()),
            _ => program,
        };
        self.options.settings.iter().fold(program, |program, (name, value)| program.set(name, value))
    }
}

/// A port that nobody listens on, given out once.
///
/// It lies below the ports that the kernel gives to whoever asks for any, so that no
/// neighbour is given it between this look and its use.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Processes begin at different places; a thousand ports are far more than one needs.
    let start = std::process::id() % (PORTS.end - PORTS.start);
    for _ in 0..1000 {
        let step = start + GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(PORTS.start + step % (PORTS.end - PORTS.start))?;
        if TcpListener::bind(loopback(port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port in {PORTS:?}")
}

/// Linux gives out 32768 and above.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// An address of this machine that no other reaches.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
