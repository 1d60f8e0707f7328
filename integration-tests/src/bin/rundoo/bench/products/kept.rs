//! Databases that are built once, by a process in the background, and kept below `target/bench`.
//!
//! Who measures waits for whoever builds, and builds when nobody does. What was measured
//! while it was built lies beside the database.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use harness::postgres::{self, Kept as Server};
use rustix::fs::{FlockOperation, flock};

use crate::bench::products::{Catalogue, Database};

/// How often who waits looks.
const PERIOD: Duration = Duration::from_secs(2);

/// The place of a database that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    catalogue: Catalogue,
}

/// A database that is open; its server, if it has one, ends with it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) url: String,
    server: Option<Server>,
}

impl Kept {
    pub(super) fn new(catalogue: Catalogue) -> Self {
        let name = catalogue.database.named(&catalogue.rows.to_string());
        Self { folder: harness::binaries::root().join("target/bench").join(name), catalogue }
    }

    /// What is kept here.
    pub(super) fn catalogue(&self) -> Catalogue {
        self.catalogue
    }

    /// What was measured while it was built; none when it is not built.
    pub(super) fn built(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join("built")).ok()
    }

    /// Opens the database, or makes an empty one.
    pub(super) fn open(&self) -> anyhow::Result<Open> {
        std::fs::create_dir_all(&self.folder)?;
        match self.catalogue.database {
            Database::Sqlite => {
                let url = format!("sqlite://{}", self.folder.join("products.db").display());
                Ok(Open { url, server: None })
            }
            Database::Postgres => {
                let server = postgres::keep(&self.folder.join("server"))?.context("no PostgreSQL is here")?;
                Ok(Open { url: server.url().to_owned(), server: Some(server) })
            }
        }
    }

    /// Takes the place for building, empty; none when another process builds, or has built.
    pub(super) fn take(&self) -> anyhow::Result<Option<File>> {
        std::fs::create_dir_all(&self.folder)?;
        let lock = File::create(self.folder.join("lock"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        if self.built().is_some() {
            return Ok(None);
        }
        for left in ["products.db", "products.db-wal", "products.db-shm"] {
            drop(std::fs::remove_file(self.folder.join(left)));
        }
        drop(std::fs::remove_dir_all(self.folder.join("server")));
        Ok(Some(lock))
    }

    /// Says that it is built, and what was measured meanwhile.
    pub(super) fn done(&self, measured: &str) -> anyhow::Result<()> {
        let part = self.folder.join("built.part");
        std::fs::write(&part, measured)?;
        Ok(std::fs::rename(part, self.folder.join("built"))?)
    }

    /// Waits until it is built; has a process in the background build it when nobody does.
    pub(super) async fn wait(&self) -> anyhow::Result<String> {
        let mut builder = None;
        loop {
            if let Some(measured) = self.built() {
                return Ok(measured);
            }
            if builder.is_none() {
                let log = self.folder.join("log");
                println!("# {} is built in the background; {} tells how far", self.folder.display(), log.display());
                builder = Some(self.build(&log)?);
            }
            tokio::time::sleep(PERIOD).await;
            let ended = builder.as_mut().map(std::process::Child::try_wait).transpose()?.flatten();
            let nobody = ended.is_some() && !self.is_taken()? && self.built().is_none();
            anyhow::ensure!(!nobody, "it was not built: see {}", self.folder.join("log").display());
        }
    }

    fn is_taken(&self) -> anyhow::Result<bool> {
        let lock = File::create(self.folder.join("lock"))?;
        Ok(flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err())
    }

    fn build(&self, log: &Path) -> anyhow::Result<std::process::Child> {
        std::fs::create_dir_all(&self.folder)?;
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "products", "--build", "--database", self.catalogue.database.name()]);
        command.args(["--rows", &self.catalogue.rows.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A process group of its own: the terminal's Ctrl-C is for who measures.
        command.process_group(0).spawn().context("could not start building")
    }
}

impl Open {
    /// Ends the server in order, if there is one.
    pub(super) fn close(self) -> anyhow::Result<()> {
        self.server.map_or(Ok(()), Server::stop)
    }
}
