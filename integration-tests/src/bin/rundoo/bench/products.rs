//! The catalogue beside its goals, on SQLite and on PostgreSQL.
//!
//! Each database has a registry and one product service of its own, and nothing else.
//! All is measured on one catalogue of many products, which `generator` makes of a seed.

use std::time::Duration;

use harness::postgres;
use harness::system::{Options, Role, System};

use crate::bench::disk;
use crate::bench::groups;
use crate::bench::measure::Report;
use crate::bench::products::generator::SEED;
use crate::bench::products::kept::Kept;
use crate::bench::{Choice, machine};

mod export;
pub(crate) mod generator;
mod gets;
mod idle;
pub(crate) mod imports;
mod kept;
mod lists;
mod queries;
mod searches;
mod writes;

/// No group takes longer than this unless something that it waits for never happens.
const PATIENCE: Duration = Duration::from_secs(1800);

/// About what a commit writes: the disk is measured with it.
const COMMIT: usize = 8 * 1024;

/// From so many products on a catalogue is built once and kept.
const KEPT: i64 = 2_000_000;

/// What `bench products` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice<Group>,

    /// Products in the catalogue. From 2,000,000 on it is built once, in the background, and kept below target/bench
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(10_000..=100_000_000))]
    rows: i64,

    /// Keep a smaller catalogue, too, and measure on the one that is kept
    #[arg(long)]
    keep: bool,

    /// Measure only on this database
    #[arg(long, value_enum)]
    database: Option<Database>,

    /// Build the catalogue that is kept, and measure nothing else
    #[arg(long, hide = true)]
    build: bool,
}

/// Measures that belong together.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Group {
    /// What a product service takes that nobody asks
    Idle,
    /// Products by their ids
    Gets,
    /// Pages in every order, at any depth
    Lists,
    /// Searches by their class
    Searches,
    /// All rows out of the catalogue, and some of them
    Export,
    /// New rows into the catalogue, the same again, and a tenth of them changed
    Imports,
    /// Durable writes with their history, by 8 and by 64 clients
    Writes,
}

/// Which database is measured: its goals are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// What is measured on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Catalogue {
    pub(crate) database: Database,
    pub(crate) rows: i64,
}

/// Runs all groups, or one, on each database, or one.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let mut met = true;
    if !arguments.build {
        println!("# {}; seed {SEED}; {} products", machine::described(), arguments.rows);
    }
    for database in [Database::Sqlite, Database::Postgres] {
        if arguments.database.is_some_and(|only| only != database) {
            continue;
        }
        let catalogue = Catalogue { database, rows: arguments.rows };
        if arguments.build {
            build(&Kept::new(catalogue)).await?;
        } else {
            met &= measure(&arguments, catalogue).await?;
        }
    }
    Ok(met)
}

/// Builds a catalogue that is kept, unless another process does.
async fn build(kept: &Kept) -> anyhow::Result<()> {
    let Some(_lock) = kept.take()? else { return Ok(()) };
    let open = kept.open()?;
    let mut report = Report::new();
    let mut system = start(Some(open.url.clone())).await?;
    imports::fill(&mut system, &mut report, kept.catalogue()).await?;
    system.stop(Role::Products(0)).await?;
    drop(system);
    open.close()?;
    kept.done(&format!("# built on {}\n{}", jiff::Zoned::now().date(), report.lines()))
}

async fn measure(arguments: &Arguments, catalogue: Catalogue) -> anyhow::Result<bool> {
    let mut report = Report::new();
    if catalogue.rows < KEPT && !arguments.keep {
        let url = match catalogue.database {
            Database::Sqlite => None,
            Database::Postgres => match postgres::database()? {
                Some(url) => Some(url),
                None => return Ok(true),
            },
        };
        let mut system = start(url).await?;
        imports::fill(&mut system, &mut report, catalogue).await?;
        return Ok(groups(&mut system, report, arguments, catalogue).await);
    }
    let kept = Kept::new(catalogue);
    print!("{}", kept.wait().await?);
    let open = kept.open()?;
    let mut system = start(Some(open.url.clone())).await?;
    imports::indexed(&system).await?;
    let met = groups(&mut system, report, arguments, catalogue).await;
    system.stop(Role::Products(0)).await?;
    drop(system);
    open.close()?;
    Ok(met)
}

async fn start(database_url: Option<String>) -> anyhow::Result<System> {
    let mut system = System::prepare(Options { database_url, ..Options::default() })?;
    for role in [Role::Registry, Role::Products(0)] {
        system.launch(role).await?;
    }
    system.ready().await;
    Ok(system)
}

async fn groups(system: &mut System, mut report: Report, arguments: &Arguments, catalogue: Catalogue) -> bool {
    let each = Duration::from_secs(arguments.choice.seconds);
    let folder = std::env::temp_dir();
    let pace = match disk::measure(&mut report, &folder, COMMIT) {
        Ok(pace) => pace,
        Err(error) => {
            report.broke("disk", &error);
            f64::NAN
        }
    };
    println!("# {}", catalogue.database.durability(&system.database_url()));
    let met =
        groups::run(
            arguments.choice.only,
            PATIENCE + each * 8,
            async |group: &Group, report: &mut Report| match group {
                Group::Idle => idle::measure(system, report, catalogue).await,
                Group::Gets => gets::measure(system, report, catalogue, each).await,
                Group::Lists => Box::pin(lists::measure(system, report, catalogue, each)).await,
                Group::Searches => Box::pin(searches::measure(system, report, catalogue, each)).await,
                Group::Export => Box::pin(export::measure(system, report, catalogue)).await,
                Group::Imports => Box::pin(imports::measure(system, report, catalogue)).await,
                Group::Writes => Box::pin(writes::measure(system, report, catalogue.database, (each, pace))).await,
            },
        )
        .await;
    report.met() && met
}

impl Database {
    pub(crate) fn name(self) -> &'static str {
        self.either("sqlite", "postgres")
    }

    /// The name of a measure on this database.
    fn named(self, measure: &str) -> String {
        format!("{}_{measure}", self.name())
    }

    /// What is a goal on this database.
    fn either<T>(self, sqlite: T, postgres: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }

    /// How it forces commits to the disk.
    fn durability(self, url: &str) -> String {
        match self {
            Self::Sqlite => "SQLite: journal_mode=WAL, synchronous=FULL".to_owned(),
            Self::Postgres => postgres::durability(url).unwrap_or_else(|error| format!("PostgreSQL: {error:#}")),
        }
    }
}
