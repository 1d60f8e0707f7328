//! A message of a shipment whose records were encoded when they were said.

use bytes::Bytes;
use proto::logs::{ShipHeader, ShipResponse};
use tonic::{Status, client::Grpc, codegen::http::uri::PathAndQuery};

/// On the wire a `ShipRequest`: the header, or the bytes of a `RecordBatch`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Part {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ShipHeader>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) batch: Option<Bytes>,
}

/// Ships a header and batches: `LogService.Ship`.
pub(super) async fn ship(
    channel: crate::Channel,
    header: ShipHeader,
    batches: Vec<Bytes>,
) -> Result<ShipResponse, Status> {
    let header = Part { header: Some(header), batch: None };
    let batches = batches.into_iter().map(|batch| Part { header: None, batch: Some(batch) });
    let parts: Vec<Part> = std::iter::once(header).chain(batches).collect();
    let mut request = tonic::Request::new(tokio_stream::iter(parts));
    request.set_timeout(super::SHIP_TIMEOUT);
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/rundoo.logs.v1.LogService/Ship");
    let codec = crate::Codec::<Part, ShipResponse>::default();
    Ok(grpc.client_streaming(request, path, codec).await?.into_inner())
}
