//! What the commands are told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::adoption::{Duplicates, Refused};

/// What is done with the database.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Adopt the first Rundoo's products with decisions about those that cannot stay as they are
    Adopt(AdoptArguments),
    /// Write all of the catalogue, as it is at one moment, to a new SQLite file that can be served
    Backup(BackupArguments),
    /// Look for whatever must not be in the database, while it is served
    Check(CheckArguments),
    /// Partition the versions of a PostgreSQL database by month, once
    Partition(PartitionArguments),
    /// Load a backup into a catalogue that has never held a product, on either database
    Restore(BackupArguments),
}

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub struct DatabaseAddress {
    /// Where products are kept: `sqlite://PATH`, made by the server when missing, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite://data/products.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: String,
}

/// How to adopt the first Rundoo's database.
///
/// A product service does so by itself when it starts and no row needs a decision.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code: 0 all are adopted, 2 some need a decision and nothing was changed, 1 it failed.")]
pub struct AdoptArguments {
    /// What becomes of products whose SKU another one has
    #[arg(long, value_enum)]
    pub duplicates: Option<Duplicates>,

    /// What becomes of rows with values that the catalogue refuses
    #[arg(long, value_enum)]
    pub refused: Option<Refused>,

    /// Tell what would become of each, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Where the first Rundoo's database is.
    #[command(flatten)]
    pub database: DatabaseAddress,
}

/// A backup, and where the catalogue is.
#[derive(Debug, Clone, Args)]
pub struct BackupArguments {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where the catalogue is.
    #[command(flatten)]
    pub database: DatabaseAddress,
}

/// How to check.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code: 0 the catalogue is sound, 2 something was found, 1 it could not be checked.")]
pub struct CheckArguments {
    /// Before, count anew what is counted: the products that are not deleted, in all and by category
    #[arg(long)]
    pub repair: bool,

    /// Where the catalogue is.
    #[command(flatten)]
    pub database: DatabaseAddress,
}

/// Which database to partition.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Copies the versions into a table of one partition for each month, in one transaction: reads and writes \
                  of products wait for it. Exit code: 0 they are partitioned, 1 it failed and nothing is changed."
)]
pub struct PartitionArguments {
    /// Where the catalogue is.
    #[command(flatten)]
    pub database: DatabaseAddress,
}
