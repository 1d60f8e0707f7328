//! The launcher: what the recipes of the `justfile` run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a launcher talks to the person at the terminal")]

use std::process::ExitCode;

use clap::Parser as _;

mod bench;
mod call;
mod demo;
mod new_service;
mod reset;
mod say;
mod screenshots;
mod soak;
mod up;

/// Rundoo's launcher: starts the system, calls it, shows it, measures it.
#[derive(Debug, clap::Parser)]
#[command(name = "rundoo", version)]
enum Command {
    /// Start the four services here, load the sample into a new catalogue, show where things are
    Up(up::Arguments),
    /// Call any method with JSON, as grpcurl does
    Call(call::Arguments),
    /// Show in a minute what happens when a service dies
    Demo,
    /// Lay down a new service: its files, and a test that passes
    NewService(new_service::Arguments),
    /// Measure, and compare with the goals
    Bench(bench::Arguments),
    /// Kill real processes under load, and compare what is left with what was promised
    Soak(soak::Arguments),
    /// Take the pictures of the portal in docs/images anew
    Screenshots,
    /// Empty the data folder, after asking
    Reset(reset::Arguments),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match command {
            Command::Up(arguments) => up::run(arguments).await,
            Command::Call(arguments) => call::run(arguments).await,
            Command::Demo => demo::run().await,
            Command::NewService(arguments) => new_service::run(&arguments),
            Command::Bench(arguments) => bench::run(arguments).await,
            Command::Soak(arguments) => soak::run(arguments).await,
            Command::Screenshots => screenshots::run().await,
            Command::Reset(arguments) => reset::run(&arguments),
        }
    });
    runtime.shutdown_background();
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
