//! A registry, a log service that comes and goes, and specimens that log what they are told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use proto::logs::{Filter, StoredRecord};
use tempfile::TempDir;

use super::{Client, reading};
use crate::health;
use crate::process::{Process, Program};
use crate::specimen::specimen_service_client::SpecimenServiceClient;
use crate::specimen::{LogRequest, SERVICE};
use crate::system::{free_port, loopback};

/// The processes, and where they are.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    binaries: PathBuf,
    registry: SocketAddr,
    logs: SocketAddr,
    settings: Vec<(&'static str, String)>,
    log_service: Option<Process>,
    _registry: Process,
}

/// A process that logs.
#[derive(Debug)]
pub struct Speaker {
    process: Process,
    address: SocketAddr,
}

impl Lab {
    /// Starts registry and log service with these settings.
    pub async fn start(binaries: &Path, settings: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("rundoo-").tempdir()?;
        let (registry, logs) = (loopback(free_port()?), loopback(free_port()?));
        let program = Program::new(binaries, "registry", folder.path())
            .set("REGISTRY_LISTEN", registry)
            .set("RUNDOO_REGISTRY", registry)
            .set("RUNDOO_SPOOL", folder.path().join("spool").display());
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut process = settings.iter().fold(program, |program, (name, value)| program.set(name, value)).start()?;
        process.address().await?;
        let binaries = binaries.to_owned();
        let mut lab = Self { folder, binaries, registry, logs, settings, log_service: None, _registry: process };
        lab.launch_logs().await?;
        Ok(lab)
    }

    /// Starts the log service and waits until it serves.
    pub async fn launch_logs(&mut self) -> anyhow::Result<()> {
        let program = self.program("logsvc").set("LOGSVC_LISTEN", self.logs);
        let program = program.set("LOGSVC_DATA", "logs").set("LOGSVC_FILE", "app.log");
        let mut process = program.start()?;
        process.address().await?;
        self.log_service = Some(process);
        Ok(())
    }

    /// Kills the log service.
    pub async fn kill_logs(&mut self) -> anyhow::Result<()> {
        self.log_service.take().context("the log service is not running")?.kill().await
    }

    /// Starts a specimen with these settings besides.
    pub async fn speaker(&self, settings: &[(&str, String)]) -> anyhow::Result<Speaker> {
        let program = self.program(SERVICE);
        let mut process = settings.iter().fold(program, |program, (name, value)| program.set(name, value)).start()?;
        let address = process.address().await?;
        Ok(Speaker { process, address })
    }

    fn program(&self, name: &str) -> Program {
        let program = Program::new(&self.binaries, name, self.folder.path())
            .set("RUNDOO_REGISTRY", self.registry)
            .set("RUNDOO_SPOOL", self.folder.path().join("spool").display());
        self.settings.iter().fold(program, |program, (name, value)| program.set(name, value))
    }

    /// A client of the log service.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(health::connect(self.logs).await?))
    }

    /// Every record of the specimens that has this word.
    pub async fn said(&self, word: &str) -> anyhow::Result<Vec<StoredRecord>> {
        let filter = Filter {
            services: vec![SERVICE.to_owned()],
            words: if word.is_empty() { Vec::new() } else { vec![word.to_owned()] },
            ..Default::default()
        };
        reading::everything(&mut self.client().await?, filter).await
    }
}

impl Speaker {
    /// Ends it as a crash would.
    pub async fn kill(self) -> anyhow::Result<()> {
        self.process.kill().await
    }

    /// Begins to log so many events, so many a second.
    pub async fn log(&self, name: &str, count: u32, per_second: u32, padding: u32) -> anyhow::Result<()> {
        let mut client = SpecimenServiceClient::new(health::connect(self.address).await?);
        client.log(LogRequest { name: name.to_owned(), count, per_second, padding }).await?;
        Ok(())
    }
}
