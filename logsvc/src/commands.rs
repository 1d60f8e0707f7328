//! The reader's hands: subcommands that ask a running log service, or look into its folder.
//!
//! Clients like any other: they know the contract and nothing of the store. What they
//! print is for people, or with `--json` an object a line.

mod client;
mod screen;
mod table;
mod words;
mod when;
mod selection;
mod row;
mod json;
mod tail;
mod query;
mod stats;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use mesh::{Mesh, RegistryAddress};

pub use crate::commands::selection::{Level, Selection};

use crate::commands::client::Client;
use crate::commands::screen::{Closed, Screen};
use crate::commands::when::moment;

/// What the keys of a record are in `--json`.
const KEYS: &str = "\
With --json each record is an object: offset, service, instanceId, producer, incarnation, sequence, time, received, \
level, severity (OpenTelemetry's number), target, message, fields (an object with values as numbers, booleans, lists \
and maps where they are), and where they apply requestId, traceId, spanId, cut, lastWords and lost (a count by level). \
Notices go to standard error.";

/// What the program does instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Follow the log: the last records first, then each as it is stored
    Tail(Tail),
    /// Search the log
    Query(Query),
    /// Show what is stored, and of each instance when it last spoke, how fast, and what it lost
    Stats(Stats),
    /// Read everything that is stored and check every hash
    Verify(Verify),
}

/// Whom to ask, and how to answer.
#[derive(Debug, Clone, Args)]
pub struct Console {
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: RegistryAddress,
}

/// What to follow.
#[derive(Debug, Args)]
#[command(after_help = format!("Comes back by itself when the log service was away, and goes on where it was. \
    Ends with Ctrl-C, or when nobody reads any more.\n\n{KEYS}"))]
pub struct Tail {
    /// What to show.
    #[command(flatten)]
    pub selection: Selection,

    /// Begin with so many of the last records that match
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(0..=10_000))]
    pub last: i32,

    /// Begin with what was received since: 90s, 10m, 2h, 3d ago, or a time such as 2026-11-24T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "last")]
    pub since: Option<Timestamp>,

    /// Begin at this offset
    #[arg(long, value_name = "OFFSET", conflicts_with_all = ["last", "since"])]
    pub from: Option<u64>,

    /// End at what is the end now instead of following
    #[arg(long)]
    pub no_follow: bool,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// What to search for.
#[derive(Debug, Args)]
#[command(after_help = format!("Standard error says in the end whether that was all and, if not, why and how to go on.\n\
    Exit code: 0 also when nothing was found, 1 when the log service could not be asked.\n\n{KEYS}"))]
pub struct Query {
    /// What to find.
    #[command(flatten)]
    pub selection: Selection,

    /// Said since, on the clock of who said it: 90s, 10m, 2h, 3d ago, or a time such as 2026-11-24T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, overrides_with = "since")]
    pub since: Option<Timestamp>,

    /// Said before
    #[arg(long, value_name = "TIME", value_parser = moment, overrides_with = "until")]
    pub until: Option<Timestamp>,

    /// At this offset or after it
    #[arg(long, value_name = "OFFSET")]
    pub from: Option<u64>,

    /// Before this offset
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(u64).range(1..))]
    pub before: Option<u64>,

    /// Which rows come first
    #[arg(long, value_enum, default_value_t = Order::Newest)]
    pub order: Order,

    /// So many rows at most
    #[arg(long, default_value_t = 1000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,

    /// How long to search at most
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Go on where an earlier search with the same selection ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// From the end of the log backwards
    Newest,
    /// From its beginning
    Oldest,
}

/// How to show statistics.
#[derive(Debug, Args)]
#[command(
    after_help = "With --json there is an object with storage, one with speaker for each instance, and one with \
    forwarding when there is any; each is the message of the contract."
)]
pub struct Stats {
    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 everything is whole, 2 something is damaged, 1 it could not be checked.\n\
    With --json each line is a message of the Verify stream: file, and in the end done.")]
pub struct Verify {
    /// Read this folder of a log instead of asking a log service; none needs to run
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

impl Command {
    /// Does it. Whoever reads our output may leave, which is no failure.
    pub fn run(self) -> ExitCode {
        let console = self.console().clone();
        let registry = console.registry;
        mesh::client(&registry, async |mesh| match self.perform(mesh, &registry.addresses, console.json).await {
            Err(error) if error.is::<Closed>() => Ok(ExitCode::SUCCESS),
            done => done,
        })
    }

    fn console(&self) -> &Console {
        match self {
            Self::Tail(Tail { console, .. })
            | Self::Query(Query { console, .. })
            | Self::Stats(Stats { console })
            | Self::Verify(Verify { console, .. }) => console,
        }
    }

    async fn perform(self, mesh: Mesh, addresses: &[String], json: bool) -> anyhow::Result<ExitCode> {
        let (client, screen) = (Client::new(&mesh, addresses), Screen::new(json));
        match self {
            Self::Tail(wanted) => tail::run(&client, &screen, wanted).await,
            Self::Query(wanted) => query::run(&client, &screen, wanted).await,
            Self::Stats(_) => stats::run(&client, &screen).await,
            Self::Verify(Verify { folder: Some(folder), .. }) => verify::folder(&screen, &folder),
            Self::Verify(_) => verify::run(&client, &screen).await,
        }
    }
}
