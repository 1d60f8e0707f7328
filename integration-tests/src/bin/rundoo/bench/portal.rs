//! The portal beside its goals: pages under load, what a first view weighs, and Django's admin.
//!
//! All four processes run, and the load comes from this process, all on the same cores.

use std::time::Duration;

use harness::postgres;
use harness::system::{Options, Role, System};

use crate::bench::groups;
use crate::bench::measure::Report;
use crate::bench::products::generator::SEED;
use crate::bench::products::{Catalogue, Database, imports};
use crate::bench::{Choice, machine};

mod django;
pub(crate) mod home;
mod idle;
mod kept;
mod lighthouse;
pub(crate) mod visitors;
mod weight;

/// No group takes longer than this unless something that it waits for never happens.
const PATIENCE: Duration = Duration::from_secs(900);

/// What `bench portal` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice<Group>,

    /// Products in the catalogue
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(1_000..=10_000_000))]
    rows: i64,
}

/// Measures that belong together.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Group {
    /// Memory of a portal that nobody visits
    Idle,
    /// What a first view of Home weighs
    Weight,
    /// Home under load
    Home,
    /// Pages that a browser has kept and asks about
    Kept,
    /// Lighthouse on four pages
    Lighthouse,
    /// Home and Django's admin, in turn, on the same table of PostgreSQL
    Django,
}

/// Runs all groups, or one.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    println!("# {}; seed {SEED}; {} products", machine::described(), arguments.rows);
    let each = Duration::from_secs(arguments.choice.seconds);
    let mut filled = None;
    let met = groups::run(arguments.choice.only, PATIENCE + each * 8, async |group: &Group, report: &mut Report| {
        if matches!(group, Group::Django) {
            // One catalogue at a time: both would not fit the cores.
            filled = None;
            let Some(url) = postgres::database()? else { return Ok(()) };
            let system = fill(Database::Postgres, Some(url.clone()), arguments.rows).await?;
            return Box::pin(django::measure(&system, report, &url, each)).await;
        }
        if filled.is_none() {
            filled = Some(fill(Database::Sqlite, None, arguments.rows).await?);
        }
        let Some(system) = &mut filled else { return Ok(()) };
        match group {
            Group::Idle => idle::measure(system, report).await,
            Group::Weight => weight::measure(system, report).await,
            Group::Home => Box::pin(home::measure(system, report, each)).await,
            Group::Kept => Box::pin(kept::measure(system, report, each)).await,
            Group::Lighthouse => lighthouse::measure(system, report).await,
            Group::Django => Ok(()),
        }
    })
    .await;
    Ok(met)
}

/// The four processes on a catalogue of so many products.
async fn fill(database: Database, url: Option<String>, rows: i64) -> anyhow::Result<System> {
    let mut system = System::with(Options { database_url: url, ..Options::default() }).await?;
    let mut filling = Report::quiet();
    imports::fill(&mut system, &mut filling, Catalogue { database, rows }).await?;
    // What it took for the import is not what it takes to be asked.
    system.stop(Role::Products(0)).await?;
    system.launch(Role::Products(0)).await?;
    system.ready().await;
    Ok(system)
}
