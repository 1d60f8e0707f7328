//! Settings of the registry.

use std::net::SocketAddr;
use std::time::Duration;

/// Rundoo's registry: who is alive, where, and since when.
///
/// Speaks gRPC with reflection. State is in memory and rebuilt by heartbeats.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "registry", version)]
pub struct Config {
    /// Where to serve gRPC; port 0 takes any free one
    #[arg(long, env = "REGISTRY_LISTEN", default_value = "127.0.0.1:5051", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// How long an instance may be silent before it is DOWN, unless it asks for another time
    #[arg(long, env = "REGISTRY_LEASE_SECONDS", default_value_t = 6, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=300))]
    pub lease_seconds: u64,

    /// Settings that every process shares.
    #[command(flatten)]
    pub mesh: mesh::Config,
}

impl Config {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
}

impl mesh::Settings for Config {
    fn mesh(&self) -> &mesh::Config {
        &self.mesh
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
