//! The log service beside its goals, beside the disk's own pace, and beside rsyslog.
//!
//! Each group has a log service of its own in a folder of its own. Load comes from
//! this process, on the same cores; `wire` keeps what it costs small.

use std::time::Duration;

use crate::bench::logs::large::Pace;
use crate::bench::measure::Report;
use crate::bench::{Choice, groups, process};

mod wire;
mod ship;
mod ack;
mod relp;
mod rsyslog;
mod large;
mod searches;
mod tail;
mod away;
mod quiet;

/// No group takes longer than this, and the time for its records, unless something never happens.
const PATIENCE: Duration = Duration::from_secs(300);

/// About what one commit of the log service writes under load.
const COMMIT: usize = 64 * 1024;

/// At this pace at least records are loaded.
const SLOWEST_LOAD: u64 = 20_000;

/// The log service is away for so long when nobody says `--full`, and with it.
const AWAY: Duration = Duration::from_secs(20);
const AWAY_IN_FULL: Duration = Duration::from_secs(600);

/// What `bench logs` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice<Group>,

    /// How many records are loaded before searches are measured
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    records: u64,

    /// As the goals say: away for ten minutes instead of twenty seconds, all records at 50,000 a second
    #[arg(long)]
    full: bool,
}

/// Measures that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// Records a second, each on disk before it is acknowledged
    Ship,
    /// How long an acknowledgement takes at 50,000 records a second
    Ack,
    /// The same work in rsyslog: RELP into a queue that is forced to disk
    Rsyslog,
    /// Ten million records: memory, disk, searches
    Large,
    /// From commit to a reader that follows, and a reader that pauses
    Tail,
    /// The log service is away
    Away,
    /// Everybody logs at TRACE and nobody does anything
    Quiet,
}

/// Runs all groups, or one.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    process::raise_file_limit()?;
    let Arguments { choice, records, full } = arguments;
    let each = Duration::from_secs(choice.seconds);
    let (away, pace) = if full { (AWAY_IN_FULL, Pace::Rate) } else { (AWAY, Pace::Full) };
    let patience = PATIENCE + each * 4 + Duration::from_secs(records / SLOWEST_LOAD) + away * 2;
    let measure = async |group: &Group, report: &mut Report| match group {
        Group::Ship => Box::pin(ship::measure(report, each)).await,
        Group::Ack => Box::pin(ack::measure(report, each)).await,
        Group::Rsyslog => Box::pin(rsyslog::measure(report, each)).await,
        Group::Large => Box::pin(large::measure(report, records, pace)).await,
        Group::Tail => Box::pin(tail::measure(report, each)).await,
        Group::Away => Box::pin(away::measure(report, away)).await,
        Group::Quiet => Box::pin(quiet::measure(report, each)).await,
    };
    Ok(groups::run(choice.only, patience, measure).await)
}
