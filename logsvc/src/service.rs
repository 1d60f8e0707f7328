//! The gRPC surface: translation between messages and the store, nothing else.

use proto::logs::log_service_server::LogService as Contract;
use proto::logs::{ShipRequest, ShipResponse, TailRequest, TailResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::error::Error;
use crate::shipment;
use crate::store::Store;
use crate::tail::Tail;

/// Messages on their way to one reader; a slow one is behind in the store, not here.
const STREAM_BUFFER: usize = 4;

/// Answers for the log.
#[derive(Debug)]
pub(crate) struct LogService {
    store: Store,
    stopping: CancellationToken,
}

impl LogService {
    pub(crate) fn new(store: Store, stopping: CancellationToken) -> Self {
        Self { store, stopping }
    }
}

#[tonic::async_trait]
impl Contract for LogService {
    async fn ship(&self, request: Request<Streaming<ShipRequest>>) -> Result<Response<ShipResponse>, Status> {
        tokio::select! {
            received = shipment::receive(&self.store, request.into_inner()) => received.map(Response::new),
            // A shipper that keeps its stream open must not keep the service from stopping.
            () = self.stopping.cancelled() => Err(Error::Stopping.into()),
        }
    }

    type TailStream = ReceiverStream<Result<TailResponse, Status>>;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let tail = Tail::parse(request.into_inner())?;
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        mesh::spawn("tail", tail.run(self.store.clone(), sender, self.stopping.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
