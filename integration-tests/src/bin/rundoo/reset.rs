//! Empties the data folder, after asking.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

/// What `reset` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder to empty
    #[arg(long, default_value = "data")]
    folder: PathBuf,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Asks, then empties.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    if !folder.exists() {
        println!("there is nothing in {}", folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let in_use = File::open(folder.join("app.log")).is_ok_and(|log| log.try_lock().is_err());
    anyhow::ensure!(!in_use, "the system is running on {}; stop it first", folder.display());
    if !arguments.yes && !agreed(&format!("This deletes every product and every log record in {}.", folder.display()))?
    {
        println!("nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    std::fs::remove_dir_all(folder).with_context(|| format!("could not empty {}", folder.display()))?;
    println!("{} is empty", folder.display());
    Ok(ExitCode::SUCCESS)
}

fn agreed(question: &str) -> anyhow::Result<bool> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "there is nobody to ask; give --yes");
    print!("{question} Type yes to go on: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
