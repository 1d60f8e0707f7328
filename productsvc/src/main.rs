//! The product service, and the commands that are its clients.

use std::process::ExitCode;

use clap::Parser as _;
use productsvc::config::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Keep(command)) => command.run(),
        None => mesh::run("productsvc", arguments.config, productsvc::wire),
        Some(Command::Import(import)) => {
            let registry = import.registry.clone();
            mesh::client(&registry, async move |mesh| productsvc::importer::import(mesh, import).await)
        }
        Some(Command::Archive(archive)) => {
            let registry = archive.registry.clone();
            mesh::client(&registry, async move |mesh| productsvc::archive::client::archive(mesh, archive).await)
        }
        Some(Command::Export(export)) => {
            let registry = export.registry.clone();
            mesh::client(&registry, async move |mesh| productsvc::exporter::export(mesh, export).await)
        }
    }
}
