//! Settings of the log service.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Rundoo's log service: every record that any process logged, in one file.
///
/// Speaks gRPC with reflection. What it acknowledges is on disk.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "logsvc", version)]
pub struct Config {
    /// Where to serve gRPC; port 0 takes any free one
    #[arg(long, env = "LOGSVC_LISTEN", default_value = "127.0.0.1:5052", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// The log: one readable line per record. Past 256 MiB it becomes FILE.1 and a new one begins
    #[arg(long, env = "LOGSVC_FILE", default_value = "data/app.log", value_name = "FILE")]
    pub file: PathBuf,

    /// Settings that every process shares.
    #[command(flatten)]
    pub mesh: mesh::Config,
}

impl mesh::Settings for Config {
    fn mesh(&self) -> &mesh::Config {
        &self.mesh
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
