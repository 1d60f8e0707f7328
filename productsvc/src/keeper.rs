//! Commands for who keeps the database: they open it themselves, as the service would.
//!
//! None of them needs the mesh, or a running service; all but the restore may run beside one.

mod adopt;
mod arguments;
mod backup;
mod bar;
mod check;

use std::process::ExitCode;

use crate::terminal::say;

pub use arguments::{AdoptArguments, BackupArguments, CheckArguments, Command, DatabaseAddress, PartitionArguments};

/// The exit code of a command that found what a person must look at.
const FINDINGS: u8 = 2;

/// The exit code of a command that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

impl Command {
    /// Runs it to its end, or until Ctrl-C.
    pub fn run(self) -> ExitCode {
        let farewell = match &self {
            Self::Check(arguments) if arguments.repair => "stopped; what was counted anew stays so",
            _ => "stopped; nothing was changed",
        };
        mesh::client(&mesh::RegistryAddress::plain(Vec::new()), async |_mesh| {
            tokio::select! {
                code = self.perform() => code,
                () = mesh::interrupted() => {
                    say(farewell);
                    Ok(ExitCode::from(INTERRUPTED))
                }
            }
        })
    }

    async fn perform(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Adopt(arguments) => adopt::adopt(arguments).await,
            Self::Backup(arguments) => backup::backup(arguments).await,
            Self::Check(arguments) => check::check(arguments).await,
            Self::Partition(arguments) => crate::store::partition(&arguments.database.database_url).await,
            Self::Restore(arguments) => backup::restore(arguments).await,
        }
    }
}
