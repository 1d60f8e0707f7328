//! The product service, and the commands that are its clients.

use std::process::ExitCode;

use clap::Parser as _;
use productsvc::config::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => mesh::run("productsvc", arguments.config, productsvc::wire),
        Some(Command::Import(import)) => {
            let registry = import.registry.addresses.clone();
            mesh::client(&registry, async move |mesh| productsvc::importer::import(mesh, import).await)
        }
        Some(Command::Archive(archive)) => {
            let registry = archive.registry.addresses.clone();
            mesh::client(&registry, async move |mesh| productsvc::archive::client::archive(mesh, archive).await)
        }
        Some(Command::Partition(partition)) => {
            // Of the mesh it asks nothing: the database is all that it knows.
            mesh::client(&[], async move |_| productsvc::store::partition(&partition.database_url).await)
        }
    }
}
