//! What can be set from outside: by flag or by environment variable.
//!
//! Plain data; `wire` builds the parts from it.

use std::{net::SocketAddr, path::PathBuf};

use crate::door;

/// The portal of Rundoo: pages and forms for people with a browser.
///
/// Without a command it serves them. With a command it looks after the accounts of those who log in.
#[derive(Debug, clap::Parser)]
#[command(name = "portal", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<door::commands::Command>,

    /// How to serve.
    #[command(flatten)]
    pub config: Config,
}

/// How to serve.
#[derive(Debug, Clone, clap::Args)]
// The mesh's own settings are a `Config` too, and clap names groups after their types.
#[group(skip)]
pub struct Config {
    /// Where browsers find the portal. Off loopback only with an administrator, and with a certificate or --insecure.
    #[arg(long, env = "PORTAL_HTTP_LISTEN", default_value = "127.0.0.1:5050", value_name = "IP:PORT")]
    pub http_listen: SocketAddr,

    /// The certificate that browsers see, PEM: with it pages are served by HTTPS only.
    #[arg(long, env = "PORTAL_HTTP_TLS_CERT", value_name = "FILE")]
    pub http_tls_cert: Option<PathBuf>,

    /// The key of the certificate that browsers see, PEM.
    #[arg(long, env = "PORTAL_HTTP_TLS_KEY", value_name = "FILE")]
    pub http_tls_key: Option<PathBuf>,

    /// Where the portal answers gRPC: health, reflection and the mesh service. Port 0 takes a free one.
    #[arg(long, env = "PORTAL_LISTEN", default_value = "127.0.0.1:5054", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// Who comes in.
    #[command(flatten)]
    pub door: door::Settings,

    /// What every process of the mesh can be told.
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn settings_do_not_contradict_each_other() {
        super::Arguments::command().debug_assert();
    }
}
