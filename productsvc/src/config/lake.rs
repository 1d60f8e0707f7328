//! The command line of what moves old versions.

use clap::Args;

/// How to archive.
///
/// The exit code is 0 when all is archived that was to be, 2 when another run has a month,
/// 3 when the product service has no data lake, 130 after Ctrl-C, and 1 when it failed.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code: 0 all is archived, 2 another run has a month, 3 the product service has no data lake, \
                  130 interrupted, 1 it failed. Whatever ended a run, the next goes on."
)]
pub struct ArchiveArguments {
    /// The last month to archive, as 2026-09; every one that ended more than 30 days ago when not given
    #[arg(long, value_name = "YYYY-MM")]
    pub through: Option<String>,

    /// Only tell what would be archived
    #[arg(long)]
    pub dry_run: bool,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: mesh::RegistryAddress,
}
