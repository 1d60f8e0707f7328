//! Empties the data folder, after asking.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
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

/// What the services write into the folder, files and folders; nothing else is deleted.
const FILES: [&str; 2] = ["app.log", "products.db"];
const FOLDERS: [&str; 2] = ["logs", "spool"];

/// Asks, then empties.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    let files = files(folder)?;
    if files.is_empty() {
        println!("there is nothing of Rundoo's in {}", folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(user) = user(folder) {
        anyhow::bail!("process {user} is using {}; stop the system first", folder.display());
    }
    if !arguments.yes && !agreed(&format!("This deletes every product and every log record in {}.", folder.display()))?
    {
        println!("nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    for file in &files {
        let removed = if file.is_dir() { std::fs::remove_dir_all(file) } else { std::fs::remove_file(file) };
        removed.with_context(|| format!("could not delete {}", file.display()))?;
    }
    println!("{} is empty", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Our files in the folder, with what SQLite and rotation put beside them.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        entries => entries.with_context(|| format!("could not read {}", folder.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_our_file = path.is_file() && FILES.iter().any(|ours| name.starts_with(ours));
        if is_our_file || (path.is_dir() && FOLDERS.contains(&name.as_str())) {
            found.push(path);
        }
    }
    Ok(found)
}

/// A process that has a file of the folder open, where the kernel tells.
fn user(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let open = std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let is_inside = |file: PathBuf| std::fs::read_link(file).is_ok_and(|file| file.starts_with(&folder));
        if open.map(|file| file.path()).any(is_inside) {
            return Some(process.file_name().to_string_lossy().into_owned());
        }
    }
    None
}

fn agreed(question: &str) -> anyhow::Result<bool> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "there is nobody to ask; give --yes");
    print!("{question} Type yes to go on: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
