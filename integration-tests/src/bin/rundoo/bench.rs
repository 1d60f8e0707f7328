//! Measures, and compares with the goals.

use std::process::ExitCode;

mod measure;
mod process;
mod echo;
mod mesh;
mod idle;
mod ship;
mod store;
mod death;
mod registry;

/// What `bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value_t = What::Mesh)]
    what: What,

    /// Seconds for each measure of a rate
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// Of the registry, measure only this
    #[arg(long, value_enum)]
    only: Option<registry::Group>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    Mesh,
    Registry,
}

/// Runs one benchmark. The exit code says whether every goal was met.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let each = std::time::Duration::from_secs(arguments.seconds);
    let met = match arguments.what {
        What::Mesh => mesh::run(each).await?,
        What::Registry => registry::run(each, arguments.only).await?,
    };
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
