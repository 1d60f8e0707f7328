//! The portal as a process; everything it is stands in [`portal::wire`].

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    mesh::run("portal", portal::Config::parse(), portal::wire)
}
