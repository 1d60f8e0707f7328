//! Finds the programs to start, building them first when tests ask.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Context as _;

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder that the running program's neighbours are in.
pub fn folder() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("could not find the running program")?;
    let folder = exe.parent().context("the running program has no folder")?;
    // Test binaries are one folder below the others.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// Builds every program once, as `just up` does, so that tests never start an old one.
pub fn build() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| build_now().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn build_now() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--workspace", "--bins", "--quiet"]).current_dir(root());
    if folder()?.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().context("could not run cargo")?;
    anyhow::ensure!(
        output.status.success(),
        "could not build the programs:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder()
}
