//! Measures, and compares with the goals.

use std::process::ExitCode;

mod measure;
mod mesh;
mod idle;
mod ship;
mod store;
mod death;

/// What `bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(default_value = "mesh", value_parser = ["mesh"])]
    what: String,

    /// Seconds for each measure
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// Runs one benchmark. The exit code says whether every goal was met.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let met = mesh::run(std::time::Duration::from_secs(arguments.seconds)).await?;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
