//! Calls any method with bytes: what is sent was encoded before, what comes is written as JSON as it is.

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::gateway::route::{Owner, Route};

/// The largest message that is taken from a service.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Calls a method that answers once.
pub(crate) async fn once(route: &Route, request: Vec<u8>) -> Result<Bytes, Status> {
    let mut client = client(&route.owner).await?;
    let answer = client.unary(Request::new(Bytes::from(request)), route.path.clone(), Raw).await?;
    Ok(answer.into_inner())
}

/// Calls a method that answers with a stream.
pub(crate) async fn stream(route: &Route, request: Vec<u8>) -> Result<Streaming<Bytes>, Status> {
    let mut client = client(&route.owner).await?;
    let answer = client.server_streaming(Request::new(Bytes::from(request)), route.path.clone(), Raw).await?;
    Ok(answer.into_inner())
}

async fn client(owner: &Owner) -> Result<Grpc<mesh::Channel>, Status> {
    let mut client = Grpc::new(owner.channel.clone()).max_decoding_message_size(MOST_BYTES);
    client.ready().await?;
    Ok(client)
}

/// Messages as they are on the wire.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
