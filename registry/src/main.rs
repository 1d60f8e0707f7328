//! Runs the registry until it is told to stop.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    mesh::run("registry", registry::Config::parse(), registry::wire)
}
