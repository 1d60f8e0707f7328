//! A log service in memory: it stores each record once, and misbehaves as it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use proto::logs::log_service_server::{LogService, LogServiceServer};
use proto::logs::ship_request::Part;
use proto::logs::{
    GetStatisticsRequest, GetStatisticsResponse, LogRecord, QueryRequest, QueryResponse, RefusedRecord,
    RequestLevelsRequest, RequestLevelsResponse, ShipHeader, ShipHints, ShipRequest, ShipResponse, ShipStateRequest,
    ShipStateResponse, TailRequest, TailResponse, VerifyRequest, VerifyResponse,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::refusal::Refusal;

/// A producer and its incarnation.
type Source = (String, u64);

/// What the stub knows, and what it is told to do.
#[derive(Default)]
pub(super) struct State {
    /// Each with whether it came as last words.
    pub(super) stored: BTreeMap<Source, Vec<(LogRecord, bool)>>,
    pub(super) marks: BTreeMap<Source, u64>,
    pub(super) duplicates: u64,
    /// The header of each stream that came, and how many records it had.
    pub(super) streams: Vec<(ShipHeader, usize)>,
    pub(super) asked: usize,
    pub(super) hints: ShipHints,
    /// Answers UNAVAILABLE to everything.
    pub(super) is_away: bool,
    /// How often, in hundredths, a stream breaks after some records, or its reply is lost.
    pub(super) breaks: u8,
    /// A sequence number that cannot be stored.
    pub(super) refuses: Option<u64>,
    pub(super) retry_after: Option<Duration>,
}

impl State {
    fn judge(&mut self, source: &Source, record: LogRecord, last_words: bool) -> Result<(), Status> {
        let mark = self.marks.entry(source.clone()).or_default();
        let span = record.lost.iter().map(|lost| lost.count).sum::<u64>().max(1);
        let last = record.sequence + span - 1;
        if last <= *mark {
            self.duplicates += 1;
            return Ok(());
        }
        if record.sequence > *mark + 1 {
            return Err(Refusal::new(Code::FailedPrecondition, "logs.rundoo", "SEQUENCE_HOLE", "a hole")
                .metadata("expected", (*mark + 1).to_string())
                .into_status());
        }
        *mark = last;
        if self.refuses != Some(record.sequence) {
            self.stored.entry(source.clone()).or_default().push((record, last_words));
        }
        Ok(())
    }

    fn breaks(&self) -> bool {
        fastrand::u8(..100) < self.breaks
    }

    /// All records of all producers.
    pub(super) fn records(&self) -> Vec<&LogRecord> {
        self.stored.values().flatten().map(|(record, _)| record).collect()
    }
}

/// The log service.
#[derive(Clone, Default)]
pub(super) struct Stub(Arc<Mutex<State>>);

impl Stub {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Serves at an address; port 0 is any.
    pub(super) async fn serve(&self, address: SocketAddr) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(LogServiceServer::new(self.clone()));
        crate::spawn("log service", server.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }

    fn refuse(&self) -> Result<(), Status> {
        let state = self.lock();
        if !state.is_away {
            return Ok(());
        }
        let refusal = Refusal::new(Code::Unavailable, "logs.rundoo", "STOPPING", "away");
        Err(match state.retry_after {
            Some(wait) => refusal.retry_after(wait).into_status(),
            None => refusal.into_status(),
        })
    }

    fn end(&self, source: &Source, first: u64) -> Result<ShipResponse, Status> {
        let state = self.lock();
        if state.breaks() {
            return Err(Status::unavailable("the reply is lost"));
        }
        let acknowledged_sequence = state.marks.get(source).copied().unwrap_or(first.saturating_sub(1));
        let refused = state.refuses.into_iter().filter(|sequence| (first..=acknowledged_sequence).contains(sequence));
        let refused = refused.map(|sequence| RefusedRecord { sequence, reason: "no room".to_owned() }).collect();
        let hints = Some(state.hints.clone());
        Ok(ShipResponse { acknowledged_sequence, refused, hints, ..Default::default() })
    }
}

fn nothing<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("a shipper does not ask for that"))
}

#[tonic::async_trait]
impl LogService for Stub {
    async fn ship(&self, request: Request<Streaming<ShipRequest>>) -> Result<Response<ShipResponse>, Status> {
        let mut parts = request.into_inner();
        let Some(Part::Header(header)) = parts.message().await?.and_then(|message| message.part) else {
            return Err(Status::invalid_argument("no header"));
        };
        self.refuse()?;
        let source = (header.producer.clone(), header.incarnation);
        let place = {
            let mut state = self.lock();
            state.streams.push((header.clone(), 0));
            state.streams.len() - 1
        };
        let mut first = true;
        while let Some(message) = parts.message().await? {
            let Some(Part::Batch(batch)) = message.part else { return Err(Status::invalid_argument("no batch")) };
            for record in batch.records {
                let mut state = self.lock();
                assert!(!std::mem::take(&mut first) || record.sequence == header.first_sequence, "{header:?}");
                state.streams[place].1 += 1;
                state.judge(&source, record, header.last_words)?;
            }
            if self.lock().breaks() {
                return Err(Status::unavailable("broken in the middle"));
            }
        }
        self.end(&source, header.first_sequence).map(Response::new)
    }

    async fn ship_state(&self, request: Request<ShipStateRequest>) -> Result<Response<ShipStateResponse>, Status> {
        self.refuse()?;
        let ShipStateRequest { producer, incarnation } = request.into_inner();
        let mut state = self.lock();
        state.asked += 1;
        let mark = state.marks.get(&(producer, incarnation)).copied();
        let acknowledged_sequence = mark.ok_or_else(|| Status::not_found("nothing is stored"))?;
        Ok(Response::new(ShipStateResponse { acknowledged_sequence }))
    }

    type QueryStream = tokio_stream::Empty<Result<QueryResponse, Status>>;

    async fn query(&self, _: Request<QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        nothing()
    }

    type TailStream = tokio_stream::Empty<Result<TailResponse, Status>>;

    async fn tail(&self, _: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        nothing()
    }

    async fn get_statistics(
        &self,
        _: Request<GetStatisticsRequest>,
    ) -> Result<Response<GetStatisticsResponse>, Status> {
        nothing()
    }

    type VerifyStream = tokio_stream::Empty<Result<VerifyResponse, Status>>;

    async fn verify(&self, _: Request<VerifyRequest>) -> Result<Response<Self::VerifyStream>, Status> {
        nothing()
    }

    async fn request_levels(
        &self,
        _: Request<RequestLevelsRequest>,
    ) -> Result<Response<RequestLevelsResponse>, Status> {
        nothing()
    }
}
