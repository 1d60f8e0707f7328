//! Measures, and compares with the goals.

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

mod measure;
mod memory;
mod disk;
mod groups;
mod machine;
mod process;
mod echo;
mod mesh;
mod registry;
mod logs;
mod products;
mod portal;
mod gateway;

/// What `bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Calls through the mesh, on good days and on bad ones
    Mesh(Choice<mesh::Group>),
    /// The registry, beside etcd
    Registry(Choice<registry::Group>),
    /// The log service, beside the disk and rsyslog
    Logs(logs::Arguments),
    /// The catalogue on SQLite and on PostgreSQL
    Products(products::Arguments),
    /// The portal under load, beside Django's admin
    Portal(portal::Arguments),
    /// The way in: what protection costs
    Gateway(Choice<gateway::Group>),
}

/// Which of the measures, and how long.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Choice<G: ValueEnum + Send + Sync + 'static> {
    /// Seconds for each measure of a rate
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// Measure only this
    #[arg(long, value_enum)]
    only: Option<G>,
}

/// Runs one benchmark. The exit code says whether every goal was met.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let met = match arguments.what {
        What::Mesh(choice) => mesh::run(Duration::from_secs(choice.seconds), choice.only).await,
        What::Logs(arguments) => logs::run(arguments).await?,
        What::Products(arguments) => products::run(arguments).await?,
        What::Portal(arguments) => portal::run(arguments).await?,
        What::Gateway(choice) => gateway::run(Duration::from_secs(choice.seconds), choice.only).await,
        What::Registry(choice) => registry::run(Duration::from_secs(choice.seconds), choice.only).await?,
    };
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
