//! Calls any method with JSON, for whoever has no grpcurl.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use harness::{dynamic, health};
use mesh::{Mesh, Refusal};
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

    /// Where the registry is
    #[arg(long, env = "RUNDOO_REGISTRY", default_value = "127.0.0.1:5051", value_name = "HOST:PORT")]
    registry: String,
}

/// Calls and prints each answer.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let method = dynamic::method(&arguments.method)?;
    let requests = dynamic::requests(&method, &arguments.json)?;
    let answers = match arguments.at {
        Some(address) => {
            let channel = health::connect(address).await.with_context(|| format!("nobody answers at {address}"))?;
            dynamic::call(channel, &method, tokio_stream::iter(requests)).await
        }
        None => through_mesh(&arguments, &method, requests).await,
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
    arguments: &Arguments,
    method: &MethodDescriptor,
    requests: Vec<DynamicMessage>,
) -> Result<Streaming<DynamicMessage>, Status> {
    let mesh = Mesh::client(std::slice::from_ref(&arguments.registry));
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
