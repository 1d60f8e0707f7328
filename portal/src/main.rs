//! The portal as a process; everything it is stands in [`portal::wire`].

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    let arguments = portal::Arguments::parse();
    match arguments.command {
        None => mesh::run("portal", arguments.config, portal::wire),
        Some(command) => command.run(),
    }
}
