//! Calls any method from JSON, by its descriptors: what grpcurl does.

use std::sync::LazyLock;

use anyhow::Context as _;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use tokio_stream::Stream;
use tonic::client::GrpcService;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status, Streaming};

/// Every contract that a process of the mesh offers.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::new();
    let sets = [
        proto::registry::DESCRIPTORS,
        proto::logs::DESCRIPTORS,
        proto::products::DESCRIPTORS,
        proto::mesh::DESCRIPTORS,
    ];
    for set in sets.into_iter().chain([tonic_health::pb::FILE_DESCRIPTOR_SET]) {
        pool.decode_file_descriptor_set(set).expect("the descriptors that we compiled are whole");
    }
    pool
});

/// Finds `SERVICE/METHOD`; the service may be named without its package.
pub fn method(name: &str) -> anyhow::Result<MethodDescriptor> {
    let (service, method) = name.rsplit_once(['/', '.']).context("write it as SERVICE/METHOD")?;
    let found = POOL.services().find(|known| known.full_name() == service || known.name() == service);
    let service = found.with_context(|| format!("there is no service {service}; there are: {}", services()))?;
    let found = service.methods().find(|known| known.name() == method);
    found.with_context(|| {
        let names: Vec<String> = service.methods().map(|method| method.name().to_owned()).collect();
        format!("{} has no method {method}; it has: {}", service.full_name(), names.join(", "))
    })
}

fn services() -> String {
    let names: Vec<String> = POOL.services().map(|service| service.full_name().to_owned()).collect();
    names.join(", ")
}

/// Reads requests from JSON: one message, or an array of them for a client stream.
pub fn requests(method: &MethodDescriptor, json: &str) -> anyhow::Result<Vec<DynamicMessage>> {
    let json: serde_json::Value =
        serde_json::from_str(if json.trim().is_empty() { "{}" } else { json }).context("the request is not JSON")?;
    let messages = match json {
        serde_json::Value::Array(messages) if method.is_client_streaming() => messages,
        message => vec![message],
    };
    let read = |message| DynamicMessage::deserialize(method.input(), message);
    messages
        .into_iter()
        .map(read)
        .collect::<Result<_, _>>()
        .with_context(|| format!("the request is not a {}", method.input().full_name()))
}

/// A message as JSON, as grpcurl prints it.
pub fn json(message: &DynamicMessage) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::pretty(&mut bytes);
    message.serialize_with_options(&mut serializer, &SerializeOptions::new().skip_default_fields(false))?;
    Ok(String::from_utf8(bytes)?)
}

/// Calls a method of any kind.
pub async fn call<C>(
    channel: C,
    method: &MethodDescriptor,
    requests: impl Stream<Item = DynamicMessage> + Send + 'static,
) -> Result<Streaming<DynamicMessage>, Status>
where
    C: GrpcService<
            tonic::body::Body,
            Error: Into<Box<dyn std::error::Error + Send + Sync>>,
            ResponseBody: Send + 'static,
        >,
    <C::ResponseBody as tonic::transport::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = path.parse().map_err(|_| Status::internal("a method's name is a path"))?;
    let codec = Dynamic(method.clone());
    let response: Response<Streaming<DynamicMessage>> = client.streaming(Request::new(requests), path, codec).await?;
    Ok(response.into_inner())
}

/// Encodes and decodes the messages of one method.
struct Dynamic(MethodDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Encode;
    type Decoder = Decode;

    fn encoder(&mut self) -> Encode {
        Encode
    }

    fn decoder(&mut self) -> Decode {
        Decode(self.0.clone())
    }
}

struct Encode;

impl Encoder for Encode {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

struct Decode(MethodDescriptor);

impl Decoder for Decode {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.output(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
