//! Settings of the registry.

use std::net::SocketAddr;
use std::time::Duration;

use crate::commands::Command;
use crate::instances::Rules;

/// Beats a second of all instances together that one core takes with ease; more of
/// them are granted longer leases.
const MOST_BEATS: f64 = 20_000.0;

/// Rundoo's registry: who is alive, where, and since when.
///
/// Without a command it serves gRPC, with reflection. State is in memory and rebuilt by heartbeats.
/// With a command it asks the registry that runs, or tells it what to do.
#[derive(Debug, clap::Parser)]
#[command(name = "registry", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to serve.
    #[command(flatten)]
    pub config: Config,
}

/// How to serve.
#[derive(Debug, Clone, clap::Args)]
// The mesh's settings are a group of the same name otherwise.
#[group(skip)]
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

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::commands::State;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        let arguments = Arguments::try_parse_from(["registry", "--listen", "127.0.0.1:0"]).unwrap();

        assert!(arguments.command.is_none());
        assert_eq!(arguments.config.listen.port(), 0);
    }

    #[test]
    fn a_list_takes_its_selectors() {
        let line = "registry ls tests --state ready --state NOT_READY --fact rack=7 --registry a:1,b:2 --json";
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();

        let Some(Command::Ls(list)) = arguments.command else { panic!("no list") };
        assert_eq!(list.service.as_deref(), Some("tests"));
        assert_eq!(list.state, [State::Ready, State::NotReady]);
        assert_eq!(list.fact, [("rack".to_owned(), "7".to_owned())]);
        assert_eq!(list.console.registry.addresses, ["a:1", "b:2"]);
        assert!(list.console.json);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in ["drain tests", "drain tests/a --timeout 61", "ls --fact x", "ls --registry x", "move localhost:1"]
        {
            let line = format!("registry {line}");
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
