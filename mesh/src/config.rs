//! Settings that every process of the mesh shares.
//!
//! Only the registry's address is configuration; everything else is discovered.

use std::net::SocketAddr;

use tracing_subscriber::filter::Targets;

/// A service's configuration, as far as the mesh needs it.
pub trait Settings {
    /// The settings that every process shares.
    fn mesh(&self) -> &Config;

    /// The version of the program.
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// Settings that every process shares; a service flattens them into its own.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Mesh options")]
// Named, because a group is called after its type and every service has a Config too.
#[group(id = "mesh")]
pub struct Config {
    /// Where the registry is: HOST:PORT, several parted by commas
    #[arg(
        long,
        env = "RUNDOO_REGISTRY",
        default_value = "127.0.0.1:5051",
        value_delimiter = ',',
        value_name = "HOST:PORT"
    )]
    pub registry: Vec<String>,

    /// The address that others reach this process at, when it is not the one it listens on
    #[arg(long, env = "RUNDOO_ADVERTISE", value_name = "IP:PORT")]
    pub advertise: Option<SocketAddr>,

    /// Serve without encryption on addresses that other machines reach
    #[arg(long, env = "RUNDOO_INSECURE")]
    pub insecure: bool,

    /// What is logged: a level, or levels by target, as in `info,productsvc=debug`
    #[arg(long, env = "RUNDOO_LOG", default_value = "info", value_name = "LEVELS")]
    pub log: Targets,

    /// Stop when standard input ends: whoever started this process is gone then
    #[arg(long, env = "RUNDOO_STOP_ON_EOF", hide = true)]
    pub stop_on_eof: bool,
}
