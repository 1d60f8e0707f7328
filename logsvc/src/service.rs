//! The gRPC surface: translation between messages and the store, nothing else.

use std::path::PathBuf;
use std::sync::Arc;

use mesh::Call;
use mesh::call::Caller;
use proto::logs::log_service_server::LogService as Contract;
use proto::logs::verify_response::Part;
use proto::logs::{
    GetStatisticsRequest, GetStatisticsResponse, QueryRequest, QueryResponse, RequestLevelsRequest,
    RequestLevelsResponse, ShipRequest, ShipResponse, ShipStateRequest, ShipStateResponse, TailRequest, TailResponse,
    VerifyRequest, VerifyResponse,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::entry::{self, Source};
use crate::error::Error;
use crate::forward::Forwarder;
use crate::search::Search;
use crate::shipment::{Intake, Shipper};
use crate::statistics;
use crate::store;
use crate::tail::Tail;

/// Messages on their way to one reader; a slow one is behind in the store, not here.
const STREAM_BUFFER: usize = 4;

/// Searches that run at a time, each on a thread of its own: more would only share the same two cores.
const MOST_SEARCHES: usize = 8;

/// Answers for the log.
#[derive(Debug)]
pub(crate) struct LogService {
    intake: Intake,
    /// This very process, which speaks without shipping.
    own: Arc<Source>,
    forwarder: Option<Forwarder>,
    searches: Arc<Semaphore>,
    tails: Arc<()>,
    folder: PathBuf,
    stopping: CancellationToken,
}

impl LogService {
    pub(crate) fn new(
        intake: Intake,
        own: Arc<Source>,
        forwarder: Option<Forwarder>,
        (folder, stopping): (PathBuf, CancellationToken),
    ) -> Self {
        let searches = Arc::new(Semaphore::new(MOST_SEARCHES));
        Self { intake, own, forwarder, searches, tails: Arc::default(), folder, stopping }
    }

    /// A place among the searches that run.
    fn search(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.searches.clone().try_acquire_owned().map_err(|_| Error::Busy)
    }
}

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl Contract for LogService {
    async fn ship(&self, request: Request<Streaming<ShipRequest>>) -> Result<Response<ShipResponse>, Status> {
        let caller = Call::of(&request).get::<Caller>().cloned();
        let shipper = Shipper { caller, peer: request.remote_addr() };
        tokio::select! {
            received = self.intake.receive(shipper, request.into_inner()) => received.map(Response::new),
            // A shipper that keeps its stream open must not keep the service from stopping.
            () = self.stopping.cancelled() => Err(Error::Stopping.into()),
        }
    }

    async fn ship_state(&self, request: Request<ShipStateRequest>) -> Result<Response<ShipStateResponse>, Status> {
        let ShipStateRequest { producer, incarnation } = request.into_inner();
        let source = Source::parse("unknown".to_owned(), "unknown".to_owned(), producer, incarnation)?;
        // Appending nothing answers how far the producer is stored, behind everything that waits.
        match self.intake.store.append(Arc::new(source), Vec::new()).await?.acknowledged {
            0 => Err(Error::ProducerUnknown.into()),
            acknowledged_sequence => Ok(Response::new(ShipStateResponse { acknowledged_sequence })),
        }
    }

    type QueryStream = Answers<QueryResponse>;

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let deadline = Call::of(&request).deadline();
        let search = Search::parse(request.into_inner())?;
        let place = self.search()?;
        let view = self.intake.store.view();
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        tokio::task::spawn_blocking(move || {
            search.run(&view, deadline, &sender);
            drop(place);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type TailStream = Answers<TailResponse>;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let tail = Tail::parse(request.into_inner())?;
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        let (store, stopping, open) = (self.intake.store.clone(), self.stopping.clone(), self.tails.clone());
        mesh::spawn("tail", async move {
            tail.run(store, sender, stopping).await;
            drop(open);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_statistics(
        &self,
        _: Request<GetStatisticsRequest>,
    ) -> Result<Response<GetStatisticsResponse>, Status> {
        let now = entry::now();
        // Whoever answers is not silent.
        self.intake.speakers.heard(&self.own, Some(now), now);
        let mut storage = statistics::storage(&self.intake.store);
        storage.searches = u32::try_from(MOST_SEARCHES - self.searches.available_permits()).unwrap_or_default();
        storage.tails = u32::try_from(Arc::strong_count(&self.tails) - 1).unwrap_or_default();
        Ok(Response::new(GetStatisticsResponse {
            storage: Some(storage),
            speakers: self.intake.speakers.list(now),
            forwarding: self.forwarder.as_ref().map(Forwarder::status),
        }))
    }

    type VerifyStream = Answers<VerifyResponse>;

    async fn verify(&self, _: Request<VerifyRequest>) -> Result<Response<Self::VerifyStream>, Status> {
        let place = self.search()?;
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || {
            let send = |part| sender.blocking_send(Ok(VerifyResponse { part: Some(part) })).is_ok();
            // A caller that is gone does not stop the reading of the file that is being read.
            let mut gone = false;
            let verified = store::verify(&store::real(), &folder, &mut |file| gone |= !send(Part::File(file)));
            let _unread = match verified {
                Ok(done) => send(Part::Done(done)),
                Err(error) => sender.blocking_send(Err(Error::unreadable(&error).into())).is_ok(),
            };
            drop(place);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn request_levels(
        &self,
        request: Request<RequestLevelsRequest>,
    ) -> Result<Response<RequestLevelsResponse>, Status> {
        self.intake.wishes.request(request.into_inner())?;
        Ok(Response::new(RequestLevelsResponse {}))
    }
}
