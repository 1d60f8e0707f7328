//! Settings of the product service, from flags and the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mesh::Settings;
use uuid::Uuid;

use crate::keeper::DatabaseAddress;

/// The catalogue of a building-supply store: keeps products and serves them over gRPC.
#[derive(Debug, Parser)]
#[command(name = "productsvc", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to serve.
    #[command(flatten)]
    pub config: Config,
}

/// What the program does instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import products from a CSV file through the running product service
    Import(ImportArguments),
    /// Export products to a CSV file through the running product service
    Export(ExportArguments),
    /// Move old versions from the database to the data lake, through the running product service
    Archive(ArchiveArguments),
    /// What is done with the database itself.
    #[command(flatten)]
    Keep(crate::keeper::Command),
}

/// How to serve.
#[derive(Debug, Clone, Args)]
// The mesh's settings are a group of the same name otherwise.
#[group(skip)]
pub struct Config {
    /// Where to serve gRPC; port 0 takes any free port
    #[arg(long, env = "PRODUCTSVC_LISTEN", default_value = "127.0.0.1:5053", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// Where products are kept; a file is made when missing.
    #[command(flatten)]
    pub database: DatabaseAddress,

    /// Where old versions are archived to, and found again; for S3 the usual AWS_ variables say who may, and where else it is
    #[arg(long, env = "PRODUCTSVC_LAKE", value_name = "s3://BUCKET/PREFIX|file:///FOLDER|FOLDER")]
    pub lake: Option<String>,

    /// What every service of the mesh shares.
    #[command(flatten)]
    pub mesh: mesh::Config,
}

impl Settings for Config {
    fn mesh(&self) -> &mesh::Config {
        &self.mesh
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// How to import, or what to do with an import.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code:\n  0  all rows are in, or would be; what was asked is done\n  1  it failed\n  2  some rows were refused, or products were left alone when it was undone\n  3  the catalogue is not new: nothing was done\n  4  it was cancelled, or Ctrl-C ended the watching\n\nA dry run is kept for 7 days, what an import did can be undone for 30."
)]
#[group(skip)]
pub struct ImportArguments {
    /// The CSV file: UTF-8, with a header that has the columns name, category and sku in any order
    #[arg(value_name = "FILE.csv", required_unless_present = "job")]
    pub file: Option<PathBuf>,

    /// What happens with a row, by whether a product has its SKU already
    #[arg(long, value_enum, default_value_t = Mode::Upsert)]
    pub mode: Mode,

    /// Change nothing: show what the import would do, and keep it to be committed
    #[arg(long)]
    pub dry_run: bool,

    /// How many changes of a dry run are shown
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub show: usize,

    /// Import SKUs that look as if a spreadsheet had damaged them, as they are
    #[arg(long)]
    pub allow_damaged: bool,

    /// Import only into a catalogue that has never held a product
    #[arg(long)]
    pub only_if_new: bool,

    /// Names the import, to go on with one that broke off or was cancelled; made up when not given
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<Uuid>,

    /// Write the refused rows to this file, with line, field and reason
    #[arg(long, value_name = "FILE.csv")]
    pub refused: Option<PathBuf>,

    /// Instead of importing a file.
    #[command(flatten)]
    pub job: JobArguments,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: mesh::RegistryAddress,
}

/// What to export.
///
/// The exit code is 0 when all is written, 130 after Ctrl-C and 1 when the export failed:
/// a file is then as it was before.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code: 0 all is written, 130 after Ctrl-C, 1 the export failed: the file is as it was.")]
pub struct ExportArguments {
    /// The CSV file, which appears when it is whole; `-` is standard output
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,

    /// Which products, such as `category:"Paint" AND sku = "HAM-*"`; all without
    #[arg(long, default_value = "", value_name = "FILTER")]
    pub filter: String,

    /// `id`, `name`, `category`, `sku`, `create_time` or `update_time`, and ` desc` for the greatest first
    #[arg(long, default_value = "id", value_name = "ORDER")]
    pub order_by: String,

    /// Write deleted products too, and when they were
    #[arg(long)]
    pub show_deleted: bool,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: mesh::RegistryAddress,
}

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

/// What to do with an import that is there.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "job", multiple = false, conflicts_with_all = ["file", "mode", "dry_run", "allow_damaged", "only_if_new"])]
pub struct JobArguments {
    /// Apply a dry run, and wait until it is done
    #[arg(long, value_name = "JOB")]
    pub commit: Option<i64>,

    /// Take back what an import did, and wait until it is done
    #[arg(long, value_name = "JOB")]
    pub undo: Option<i64>,

    /// Stop an import; what is in stays
    #[arg(long, value_name = "JOB")]
    pub cancel: Option<i64>,

    /// Show how an import goes until it ends
    #[arg(long, value_name = "JOB")]
    pub watch: Option<i64>,

    /// List the latest imports
    #[arg(long)]
    pub list: bool,
}

/// What happens with a row, by whether a product has its SKU already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The product is changed to what the row says, or added
    Upsert,
    /// A row whose SKU is taken is refused
    Create,
    /// A row whose SKU no product has is refused
    Update,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        let arguments = Arguments::try_parse_from(["productsvc", "--listen", "127.0.0.1:0"]).unwrap();

        assert!(arguments.command.is_none());
        assert_eq!(arguments.config.listen.port(), 0);
    }

    #[test]
    fn an_import_takes_its_file() {
        let arguments = Arguments::try_parse_from(["productsvc", "import", "a.csv", "--mode", "create"]).unwrap();

        let Some(Command::Import(import)) = arguments.command else { panic!("no import") };
        assert_eq!((import.file, import.mode), (Some(PathBuf::from("a.csv")), Mode::Create));
    }

    #[test]
    fn an_import_is_of_a_file_or_about_a_job() {
        let parse = |arguments: &[&str]| {
            let all = ["productsvc", "import"].iter().chain(arguments);
            Arguments::try_parse_from(all).is_ok()
        };

        for good in [&["a.csv", "--dry-run"][..], &["--commit", "7"], &["--undo", "7"], &["--list"]] {
            assert!(parse(good), "{good:?}");
        }
        let mistaken =
            [&[][..], &["a.csv", "--commit", "7"], &["--commit", "7", "--undo", "7"], &["--watch", "7", "--dry-run"]];
        for mistaken in mistaken {
            assert!(!parse(mistaken), "{mistaken:?}");
        }
    }

    #[test]
    fn an_export_goes_to_a_file_or_to_standard_output() {
        let arguments = Arguments::try_parse_from(["productsvc", "export", "-", "--filter", "id > 3"]).unwrap();

        let Some(Command::Export(export)) = arguments.command else { panic!("no export") };
        assert_eq!((export.file, export.filter.as_str()), (PathBuf::from("-"), "id > 3"));
    }
}
