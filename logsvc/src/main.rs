//! Runs the log service until it is told to stop, or asks the one that runs.

use clap::Parser as _;
use logsvc::config::Arguments;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => mesh::run("logsvc", arguments.config, logsvc::wire),
        Some(command) => command.run(),
    }
}
