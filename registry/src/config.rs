//! Settings of the registry.

use std::net::SocketAddr;
use std::time::Duration;

use crate::instances::Rules;

/// Beats a second of all instances together that one core takes with ease; more of
/// them are granted longer leases.
const MOST_BEATS: f64 = 20_000.0;

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
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            lease: Duration::from_secs(self.lease_seconds),
            most_beats: MOST_BEATS,
            // Microseconds of the clock: incarnations rise across restarts too.
            first_incarnation: u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(1),
        }
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
