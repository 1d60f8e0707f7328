//! Runs the registry until it is told to stop, or asks the one that runs.

use clap::Parser as _;
use registry::config::Arguments;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => mesh::run("registry", arguments.config, registry::wire),
        Some(command) => command.run(),
    }
}
