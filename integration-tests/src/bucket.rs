//! A bucket of a server that speaks S3: moto's, in Python.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::skip::skip;
use crate::system::{free_port, loopback};
use crate::{binaries, eventually};

/// A bucket. Its server is killed when this is dropped.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    endpoint: String,
    python: PathBuf,
    server: Child,
}

impl Bucket {
    /// A new bucket; none, said and counted, when the machine has no server.
    pub async fn start(name: &str) -> anyhow::Result<Option<Self>> {
        let Some(python) = python("the server that speaks S3") else { return Ok(None) };
        let endpoint = format!("http://{}", loopback(free_port()?));
        let port = endpoint.rsplit(':').next().unwrap_or_default();
        let server = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let bucket = Self { name: name.to_owned(), endpoint, python, server };
        eventually("there is a bucket", async || bucket.run("create").await.map(drop)).await;
        Ok(Some(bucket))
    }

    /// What a process must be told to reach it.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "tests".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "tests".to_owned()),
        ]
    }

    /// The objects in it, with their sizes.
    pub async fn list(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        Ok(serde_json::from_str(&self.run("list").await?)?)
    }

    /// Ends the server: whoever needs it finds nobody there.
    pub async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.server.kill().await?)
    }

    async fn run(&self, order: &str) -> anyhow::Result<String> {
        let script = binaries::root().join("integration-tests/tests/logs/otlp/bucket.py");
        let mut command = Command::new(&self.python);
        command.arg(script).args([&self.endpoint, order, &self.name]).kill_on_drop(true);
        let output = command.output().await?;
        anyhow::ensure!(output.status.success(), "bucket.py: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The interpreter with the packages that tests need; none, said and counted, when there is none.
pub fn python(what: &str) -> Option<PathBuf> {
    let found = std::env::var_os("RUNDOO_PYTHON").map(PathBuf::from);
    if found.is_none() {
        skip(what, "RUNDOO_PYTHON=python of a venv with integration-tests/tests/logs/otlp/requirements.txt installed");
    }
    found
}
