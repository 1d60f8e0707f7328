//! Asks a process what it offers, as grpcurl does.

use std::collections::{BTreeMap, BTreeSet};

use mesh::Channel;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// Files of all contracts of one process; more is no contract but an attack.
const MOST_FILES: usize = 1_000;

/// Bytes of all of them together.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What a process reflects.
#[derive(Debug)]
pub(crate) struct Reflected {
    /// The full names of its gRPC services.
    pub(crate) services: Vec<String>,
    /// An encoded descriptor set with all options, as the process has them.
    pub(crate) descriptors: Vec<u8>,
}

/// Asks over a channel.
pub(crate) async fn ask(channel: Channel) -> Result<Reflected, Status> {
    let (sender, requests) = mpsc::channel(1);
    let mut client = ServerReflectionClient::new(channel).max_decoding_message_size(MOST_BYTES);
    let answers = client.server_reflection_info(ReceiverStream::new(requests)).await?.into_inner();
    Conversation { sender, answers }.all().await
}

struct Conversation {
    sender: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Conversation {
    async fn all(mut self) -> Result<Reflected, Status> {
        let MessageResponse::ListServicesResponse(list) = self.ask(MessageRequest::ListServices(String::new())).await?
        else {
            return Err(Status::internal("a list of services was asked for, and something else came"));
        };
        let mut services: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        services.sort();
        services.dedup();
        let mut files = Files::default();
        for service in &services {
            files.take(self.files(MessageRequest::FileContainingSymbol(service.clone())).await?)?;
        }
        while let Some(name) = files.missing.pop_first() {
            files.take(self.files(MessageRequest::FileByFilename(name)).await?)?;
        }
        Ok(Reflected { services, descriptors: files.set() })
    }

    async fn files(&mut self, request: MessageRequest) -> Result<Vec<Vec<u8>>, Status> {
        match self.ask(request).await? {
            MessageResponse::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto),
            MessageResponse::ErrorResponse(error) => Err(Status::not_found(error.error_message)),
            _ => Err(Status::internal("files were asked for, and something else came")),
        }
    }

    async fn ask(&mut self, request: MessageRequest) -> Result<MessageResponse, Status> {
        let request = ServerReflectionRequest { message_request: Some(request), ..Default::default() };
        let ended = || Status::unavailable("the stream ended");
        self.sender.send(request).await.map_err(|_| ended())?;
        let answer = self.answers.message().await?.ok_or_else(ended)?;
        answer.message_response.ok_or_else(|| Status::internal("an empty answer"))
    }
}

/// Files as they came, by name, and those that they name and nobody has sent yet.
#[derive(Default)]
struct Files {
    known: BTreeMap<String, Vec<u8>>,
    missing: BTreeSet<String>,
    bytes: usize,
}

impl Files {
    fn take(&mut self, files: Vec<Vec<u8>>) -> Result<(), Status> {
        for bytes in files {
            let file = FileDescriptorProto::decode(bytes.as_slice())
                .map_err(|cause| Status::internal(format!("a file that is none: {cause}")))?;
            let named = file.dependency.iter().filter(|name| !self.known.contains_key(*name));
            self.missing.extend(named.cloned());
            self.missing.remove(file.name());
            self.bytes += bytes.len();
            self.known.insert(file.name().to_owned(), bytes);
            if self.bytes > MOST_BYTES || self.known.len() > MOST_FILES {
                return Err(Status::resource_exhausted("more contracts than a process can have"));
            }
        }
        Ok(())
    }

    /// The bytes of a `FileDescriptorSet`: decoding the files would lose their options.
    fn set(self) -> Vec<u8> {
        let mut set = Vec::new();
        for file in self.known.into_values() {
            prost::encoding::bytes::encode(1, &file, &mut set);
        }
        set
    }
}
