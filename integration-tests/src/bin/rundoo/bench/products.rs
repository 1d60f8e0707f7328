//! The catalogue beside its goals, on SQLite and on PostgreSQL.
//!
//! Each database has a registry and one product service of its own, and nothing else.

use std::time::Duration;

use harness::system::{Options, Role, System};

use crate::bench::disk;
use crate::bench::groups;
use crate::bench::measure::Report;

mod export;
mod import;
mod reads;
mod writes;

/// No group takes longer than this unless something that it waits for never happens.
const PATIENCE: Duration = Duration::from_secs(900);

/// Measures that belong together.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Group {
    /// The disk's own fdatasync
    Disk,
    /// Durable writes with their history, by 8 and by 64 clients
    Writes,
    /// Rows into an empty catalogue, the same again, and a tenth of them changed
    Import,
    /// All rows out of a catalogue, and some of them
    Export,
    /// Products by their ids, and pages
    Reads,
}

/// Runs all groups, or one.
pub(crate) async fn run(each: Duration, only: Option<Group>) -> anyhow::Result<bool> {
    Ok(groups::run(only, PATIENCE + each * 8, async |group, report| measure(*group, report, each).await).await)
}

async fn measure(group: Group, report: &mut Report, each: Duration) -> anyhow::Result<()> {
    if let Group::Disk = group {
        return disk::measure(report, &std::env::temp_dir());
    }
    for options in Options::default().on_each_database()? {
        let database = if options.database_url.is_some() { Database::Postgres } else { Database::Sqlite };
        let mut system = System::prepare(options)?;
        for role in [Role::Registry, Role::Products(0)] {
            system.launch(role).await?;
        }
        system.ready().await;
        match group {
            Group::Disk => {}
            Group::Writes => writes::measure(&system, report, database, each).await?,
            Group::Import => import::measure(&system, report, database).await?,
            Group::Export => export::measure(&system, report, database).await?,
            Group::Reads => reads::measure(&system, report, database, each).await?,
        }
    }
    Ok(())
}

/// Which database is measured: its goals are its own.
#[derive(Debug, Clone, Copy)]
enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    /// The name of a measure on this database.
    fn named(self, measure: &str) -> String {
        match self {
            Self::Sqlite => format!("sqlite_{measure}"),
            Self::Postgres => format!("postgres_{measure}"),
        }
    }

    /// What is a goal on this database.
    fn either<T>(self, sqlite: T, postgres: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}
