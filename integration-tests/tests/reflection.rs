//! Reflection is the manual: services, comments and HTTP rules, in both versions.

use std::collections::HashSet;
use std::net::SocketAddr;

use anyhow::Context as _;
use harness::{System, health};
use prost_reflect::{DescriptorPool, Value};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha;

async fn ask(address: SocketAddr, message: MessageRequest) -> anyhow::Result<MessageResponse> {
    let mut client = ServerReflectionClient::new(health::connect(address).await?);
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    answers.message().await?.context("no answer")?.message_response.context("an empty answer")
}

async fn services(address: SocketAddr) -> anyhow::Result<HashSet<String>> {
    match ask(address, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(listed) => {
            Ok(listed.service.into_iter().map(|service| service.name).collect())
        }
        other => anyhow::bail!("{other:?}"),
    }
}

/// The descriptors of the file that holds a symbol and of all it imports, as a client builds them.
async fn pool(address: SocketAddr, symbol: &str) -> anyhow::Result<DescriptorPool> {
    let mut pool = DescriptorPool::new();
    let mut wanted = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    while let Some(request) = wanted.pop() {
        let MessageResponse::FileDescriptorResponse(answer) = ask(address, request).await? else {
            anyhow::bail!("no file")
        };
        for bytes in answer.file_descriptor_proto {
            let file: prost_types::FileDescriptorProto = prost::Message::decode(bytes.as_slice())?;
            for import in file.dependency {
                if seen.insert(import.clone()) {
                    wanted.push(MessageRequest::FileByFilename(import));
                }
            }
            files.push(bytes);
        }
    }
    // As they came: decoding them into types would lose the options.
    let mut set = Vec::new();
    for file in &files {
        prost::encoding::bytes::encode(1, file, &mut set);
    }
    pool.decode_file_descriptor_set(set.as_slice())?;
    Ok(pool)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_lists_what_it_offers_in_both_versions_of_reflection() -> anyhow::Result<()> {
    let system = System::start().await?;
    let own =
        ["rundoo.logs.v1.LogService", "rundoo.registry.v1.RegistryService", "rundoo.products.v1.ProductService", ""];

    for (role, own) in system.roles().into_iter().zip(own) {
        let address = system.address(role)?;
        let listed = services(address).await?;
        for service in [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "rundoo.mesh.v1.MeshService",
            own,
        ] {
            assert!(service.is_empty() || listed.contains(service), "{role:?} lists {listed:?}");
        }

        let mut old = v1alpha::server_reflection_client::ServerReflectionClient::new(health::connect(address).await?);
        let message = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
        let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let answer = old
            .server_reflection_info(tokio_stream::once(request))
            .await?
            .into_inner()
            .message()
            .await?
            .context("no answer")?;
        assert!(format!("{answer:?}").contains("MeshService"), "{answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_and_http_rules_come_back_through_reflection() -> anyhow::Result<()> {
    let system = System::start().await?;

    let pool = pool(system.address(harness::Role::Products(0))?, "rundoo.products.v1.ProductService").await?;

    let service = pool.get_service_by_name("rundoo.products.v1.ProductService").context("the service")?;
    let get = service.methods().find(|method| method.name() == "GetProduct").context("the method")?;
    let file = service.parent_file().file_descriptor_proto().clone();
    let comments: Vec<String> = file
        .source_code_info
        .context("comments")?
        .location
        .into_iter()
        .filter_map(|location| location.leading_comments)
        .collect();
    assert!(comments.iter().any(|comment| comment.contains("NOT_FOUND when it never")), "{comments:?}");

    let http = pool.get_extension_by_name("google.api.http").context("the extension")?;
    let options = get.options();
    let rule = options.get_extension(&http);
    let path = rule.as_message().and_then(|rule| rule.get_field_by_name("get").map(|path| path.into_owned()));
    assert_eq!(path, Some(Value::String("/v1/products/{id}".into())));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_tells_what_it_is_made_of() -> anyhow::Result<()> {
    let system = System::start().await?;
    for role in system.roles() {
        let mut client =
            proto::mesh::mesh_service_client::MeshServiceClient::new(health::connect(system.address(role)?).await?);

        let graph = client.get_graph(proto::mesh::GetGraphRequest {}).await?.into_inner();

        assert_eq!(graph.service, role.service());
        assert_eq!(
            graph.layers,
            ["trace", "caller", "metrics", "policy", "deadline", "call", "rate", "limit", "refusals", "panics"]
        );
        assert!(graph.steps.iter().any(|step| step.name == "server"), "{graph:?}");
        assert_eq!(graph.needs.contains(&"productsvc".to_owned()), role == harness::Role::Portal, "{graph:?}");
    }
    Ok(())
}
