//! Settings that every process of the mesh shares.
//!
//! Only the registry's address is configuration; everything else is discovered.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Where the registry is.
    #[command(flatten)]
    pub registry: RegistryAddress,

    /// The address that others reach this process at, when it is not the one it listens on
    #[arg(long, env = "RUNDOO_ADVERTISE", value_name = "IP:PORT")]
    pub advertise: Option<SocketAddr>,

    /// The zone this process runs in, such as a rack or a data centre
    #[arg(long, env = "RUNDOO_ZONE", default_value = "", value_name = "NAME")]
    pub zone: String,

    /// Who may call what, in a file of rules; whoever has a certificate may call everything when it is left out
    #[arg(long, env = "RUNDOO_POLICY", value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// Serve without encryption on addresses that other machines reach: something else encrypts
    #[arg(long, env = "RUNDOO_INSECURE")]
    pub insecure: bool,

    /// What is logged: a level, or levels by target, as in `info,productsvc=debug`
    #[arg(long, env = "RUNDOO_LOG", default_value = "info", value_name = "LEVELS")]
    pub log: Targets,

    /// Where log records wait on disk while the log service is away; nowhere when it is empty
    #[arg(long, env = "RUNDOO_SPOOL", default_value = "data/spool", value_name = "FOLDER")]
    pub spool: OsString,

    /// What may wait there, in bytes; beyond it the least important records are lost first
    #[arg(long, env = "RUNDOO_SPOOL_BYTES", default_value = "268435456", value_name = "BYTES")]
    pub spool_bytes: u64,

    /// Calls a second that one calling service may make to this process; as many as it likes when it is left out
    #[arg(long, env = "RUNDOO_RATE_LIMIT", value_name = "CALLS")]
    pub rate_limit: Option<NonZeroU32>,

    /// The services that are believed when they say for which person they call, parted by commas
    #[arg(long, env = "RUNDOO_ACTOR_FROM", default_value = "portal", value_delimiter = ',', value_name = "SERVICES")]
    pub actor_from: Vec<String>,

    /// How old a connection of a client may become before it is asked to open another
    #[arg(long, env = "RUNDOO_CONNECTION_AGE", default_value = "1800", value_name = "SECONDS", value_parser = parse_seconds)]
    pub connection_age: Duration,

    /// Where traces are exported to, over OTLP/gRPC: http://HOST:PORT; nowhere when it is left out
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Stop when standard input ends: whoever started this process is gone then
    #[arg(long, env = "RUNDOO_STOP_ON_EOF", hide = true)]
    pub stop_on_eof: bool,
}

impl Config {
    /// Where log records wait while the log service is away, if anywhere.
    pub(crate) fn spool(&self) -> Option<SpoolAt> {
        let folder = PathBuf::from(&self.spool);
        (!self.spool.is_empty()).then_some(SpoolAt { folder, most_bytes: self.spool_bytes })
    }
}

/// Where log records wait, and how much of them.
#[derive(Debug, Clone)]
pub(crate) struct SpoolAt {
    pub(crate) folder: PathBuf,
    pub(crate) most_bytes: u64,
}

/// Where the registry is; a client subcommand flattens it too.
#[derive(Debug, Clone, clap::Args)]
pub struct RegistryAddress {
    /// Where the registry is: HOST:PORT, several parted by commas
    #[arg(
        id = "registry",
        long,
        env = "RUNDOO_REGISTRY",
        default_value = "127.0.0.1:5051",
        value_delimiter = ',',
        value_parser = parse_address,
        value_name = "HOST:PORT"
    )]
    pub addresses: Vec<String>,

    /// What a connection to it, and to everybody else, is encrypted with.
    #[command(flatten)]
    pub tls: TlsFiles,
}

impl RegistryAddress {
    /// The registry at these addresses, without encryption.
    pub fn plain(addresses: Vec<String>) -> Self {
        Self { addresses, tls: TlsFiles::default() }
    }
}

/// The files of mutual TLS: all three, or none for plain text.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsFiles {
    /// Our certificate, PEM, which names us; with it every connection between processes takes mutual TLS
    #[arg(long, env = "RUNDOO_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of our certificate, PEM
    #[arg(long, env = "RUNDOO_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The authorities whose certificates we believe, PEM
    #[arg(long, env = "RUNDOO_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Certificate, key and authorities; nothing when none of them is given.
    pub(crate) fn all(&self) -> anyhow::Result<Option<[PathBuf; 3]>> {
        match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (None, None, None) => Ok(None),
            (Some(cert), Some(key), Some(ca)) => Ok(Some([cert.clone(), key.clone(), ca.clone()])),
            (cert, key, ca) => {
                let given = [("--tls-cert", cert), ("--tls-key", key), ("--tls-ca", ca)];
                let missing = given.into_iter().filter(|(_, file)| file.is_none()).map(|(flag, _)| flag);
                let missing = missing.collect::<Vec<_>>().join(" and ");
                anyhow::bail!("--tls-cert, --tls-key and --tls-ca belong together, and there is no {missing}")
            }
        }
    }
}

/// Reads a time of at least a second, in seconds.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    match seconds {
        1..=31_536_000 => Ok(Duration::from_secs(seconds)),
        _ => Err("must be between a second and a year".to_owned()),
    }
}

/// Checks that an address is HOST:PORT; the host may be a name.
fn parse_address(text: &str) -> Result<String, String> {
    let authority: http::uri::Authority = text.parse().map_err(|_| format!("{text:?} is not HOST:PORT"))?;
    match authority.port_u16() {
        Some(1..) if !authority.host().is_empty() => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is not HOST:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Options {
        #[command(flatten)]
        mesh: Config,
    }

    #[test]
    fn a_spool_without_a_name_is_none() {
        let spool = |arguments: &[&str]| Options::parse_from([&["test"], arguments].concat()).mesh.spool();

        assert!(spool(&["--spool", ""]).is_none());
        let small = spool(&["--spool", "here", "--spool-bytes", "9"]).unwrap();
        assert_eq!((small.folder.as_path(), small.most_bytes), ("here".as_ref(), 9));
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:5051", "registry.internal:5051", "[::1]:5051"] {
            assert!(parse_address(good).is_ok(), "{good}");
        }
        for bad in ["", "nonsense", "127.0.0.1", ":5051", "host:0", "host:x", "http://host:1"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }
}
