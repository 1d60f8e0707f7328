//! Runs the log service until it is told to stop.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    mesh::run("logsvc", logsvc::Config::parse(), logsvc::wire)
}
