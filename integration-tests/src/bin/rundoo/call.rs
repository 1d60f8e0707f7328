//! Calls any method with JSON, for whoever has no grpcurl.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use harness::{dynamic, health};
use mesh::{Mesh, Refusal, RegistryAddress};
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{Status, Streaming};

use crate::say;

/// What `call` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The method, as `ProductService/ListProducts`
    method: String,

    /// The request; for a client stream, an array of them
    #[arg(default_value = "{}")]
    json: String,

    /// The process to ask, instead of finding one through the registry
    #[arg(long, value_name = "IP:PORT")]
    at: Option<SocketAddr>,

    /// Where the registry is, and what connections are encrypted with.
    #[command(flatten)]
    registry: RegistryAddress,
}

/// Calls and prints each answer.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let method = dynamic::method(&arguments.method)?;
    let requests = dynamic::requests(&method, &arguments.json)?;
    let mesh = Mesh::client_of(&arguments.registry)?;
    let answers = match arguments.at {
        Some(address) => {
            let connected = health::connect_by(&mesh, address).await;
            let channel = connected.with_context(|| format!("nobody answers at {address}"))?;
            dynamic::call(channel, &method, tokio_stream::iter(requests)).await
        }
        None => through_mesh(&mesh, &method, requests).await,
    };
    match print(answers).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(status) => {
            explain(&status);
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn through_mesh(
    mesh: &Mesh,
    method: &MethodDescriptor,
    requests: Vec<DynamicMessage>,
) -> Result<Streaming<DynamicMessage>, Status> {
    let channel = match method.parent_service().package_name() {
        "rundoo.products.v1" => mesh.channel("productsvc", proto::products::DESCRIPTORS),
        "rundoo.logs.v1" => mesh.channel("logsvc", proto::logs::DESCRIPTORS),
        // Health and MeshService are everybody's: without --at, the registry's.
        _ => mesh.registry(),
    };
    // The picture of a channel that was just made is still to come.
    let mut answers = dynamic::call(channel.clone(), method, tokio_stream::iter(requests.clone())).await;
    for _ in 0..5 {
        match &answers {
            Err(status) if Refusal::reason(status).as_deref() == Some("NO_INSTANCE") => {
                answers = dynamic::call(channel.clone(), method, tokio_stream::iter(requests.clone())).await;
            }
            _ => break,
        }
    }
    answers
}

async fn print(answers: Result<Streaming<DynamicMessage>, Status>) -> Result<(), Status> {
    let mut answers = answers?;
    while let Some(answer) = answers.message().await? {
        let json = dynamic::json(&answer).map_err(|error| Status::internal(error.to_string()))?;
        if say::out(&json).is_err() {
            break;
        }
    }
    Ok(())
}

/// Prints a refusal as a person wants to read it.
fn explain(status: &Status) {
    eprintln!("{:?}: {}", status.code(), status.message());
    if let Some(reason) = Refusal::reason(status) {
        eprintln!("  reason: {reason}");
    }
    for (field, description) in Refusal::fields(status) {
        eprintln!("  {field}: {description}");
    }
}
