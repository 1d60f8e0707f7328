//! Settings of the log service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::commands::Command;
use crate::store::Policy;

/// Rundoo's log service: every record that any process logged, durable, searchable, live.
///
/// Without a command it serves gRPC, with reflection; what it acknowledges is on disk.
/// With a command it asks the log service that runs, or looks into its folder.
#[derive(Debug, clap::Parser)]
#[command(name = "logsvc", version, args_conflicts_with_subcommands = true)]
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
    #[arg(long, env = "LOGSVC_LISTEN", default_value = "127.0.0.1:5052", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// The folder of the log
    #[arg(long, env = "LOGSVC_DATA", default_value = "data/logs", value_name = "FOLDER")]
    pub data: PathBuf,

    /// A readable mirror of the log, one line per record. Past 256 MiB it becomes FILE.1 and a new one begins
    #[arg(long, env = "LOGSVC_FILE", default_value = "data/app.log", value_name = "FILE")]
    pub file: PathBuf,

    /// How many days a record is kept
    #[arg(long, env = "LOGSVC_KEEP_DAYS", default_value = "30", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_days: u32,

    /// What the log may take on disk, in MiB: past it the oldest records go first
    #[arg(long, env = "LOGSVC_KEEP_MIB", default_value = "8192", value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub keep_mib: u64,

    /// Blocks of a segment; for tests, which cannot fill large ones
    #[arg(long, env = "LOGSVC_SEGMENT_BLOCKS", default_value = "64", hide = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub segment_blocks: u16,

    /// Hands every record on to this OTLP receiver, at least once; it goes on where it was
    #[arg(long, env = "LOGSVC_FORWARD", value_name = "http://HOST:PORT")]
    pub forward: Option<String>,

    /// Copies each sealed segment there; for S3 the usual AWS_ variables say who may, and where else it is
    #[arg(long, env = "LOGSVC_COPY_TO", value_name = "s3://BUCKET/PREFIX|file:///FOLDER")]
    pub copy_to: Option<String>,

    /// Settings that every process shares.
    #[command(flatten)]
    pub mesh: mesh::Config,
}

impl Config {
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            keep_bytes: self.keep_mib.saturating_mul(1024 * 1024),
            keep_age: Duration::from_secs(u64::from(self.keep_days) * 24 * 3600),
            segment_blocks: usize::from(self.segment_blocks),
            ..Default::default()
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
    use crate::commands::{Level, Order};

    fn command(line: &str) -> Option<Command> {
        Arguments::try_parse_from(line.split(' ')).unwrap().command
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        assert!(command("logsvc --listen 127.0.0.1:0").is_none());
    }

    #[test]
    fn a_tail_takes_its_selection_and_where_to_begin() {
        let Some(Command::Tail(tail)) = command("logsvc tail a b --level WARN --word x --word y --not z -n 5") else {
            panic!("no tail")
        };
        assert_eq!((tail.selection.services, tail.selection.level), (vec!["a".into(), "b".into()], Some(Level::Warn)));
        assert_eq!((tail.selection.words.len(), tail.selection.without.len(), tail.last), (2, 1, 5));
        assert!(!tail.no_follow && !tail.console.json);

        let Some(Command::Tail(tail)) = command("logsvc tail --from 7 --no-follow --json") else { panic!("no tail") };
        assert_eq!((tail.from, tail.last, tail.no_follow, tail.console.json), (Some(7), 20, true, true));
    }

    #[test]
    fn the_last_of_two_times_counts_so_that_a_search_can_go_on() {
        let line = "logsvc query --since 10m --field product.id=12 --order oldest --since 2026-11-24T10:00:00Z";
        let Some(Command::Query(query)) = command(line) else { panic!("no query") };

        assert_eq!(query.since, "2026-11-24T10:00:00Z".parse().ok());
        assert_eq!(query.selection.fields, [("product.id".to_owned(), "12".to_owned())]);
        assert_eq!((query.order, query.limit), (Order::Oldest, 1000));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "tail --from 1 --last 2",
            "tail --since 10m --from 1",
            "tail --last 10001",
            "tail --field x",
            "query --since soon",
            "query --limit 0",
            "query --order up",
            "stats x",
        ] {
            assert!(Arguments::try_parse_from(format!("logsvc {line}").split(' ')).is_err(), "{line}");
        }
    }
}
