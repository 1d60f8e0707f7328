//! The gRPC surface of OTLP: it answers once everything is on disk.
//!
//! The codes are those that OTLP's clients act upon: what they try again, and what
//! they give up at once.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::try_join_all;
use http::{Request, Response};
use mesh::Refusal;
use proto::mesh::ErrorReason;
use proto::otlp::collector::logs_service_server::{LogsService as Contract, LogsServiceServer};
use proto::otlp::collector::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::incoming::{Incoming, records};
use crate::error::Error;
use crate::shipment::Intake;

/// A request may be so large once it is decompressed: gRPC's usual limit, which clients know.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;

/// A request is stored in parts of this weight in memory: what is known of a resource goes into each record.
const PIECE: usize = 4 * 1024 * 1024;

const SAYS_NOTHING: &str = "have neither a body nor attributes nor an event name";

/// Takes records over OTLP. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Receiver(LogsServiceServer<LogsService>);

#[derive(Debug)]
struct LogsService {
    intake: Intake,
}

impl Receiver {
    pub(crate) fn new(intake: Intake) -> Self {
        let service = LogsServiceServer::new(LogsService { intake })
            .max_decoding_message_size(LARGEST)
            .accept_compressed(CompressionEncoding::Gzip);
        Self(service)
    }
}

impl LogsService {
    /// Answers once it is on disk.
    async fn keep(&self, incoming: Incoming) -> Result<(), Error> {
        // Together: they share one fsync.
        let keep = |(source, records)| self.intake.keep(source, None, records);
        try_join_all(incoming.batches.into_iter().map(keep)).await?;
        Ok(())
    }
}

#[tonic::async_trait]
impl Contract for LogsService {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let (mut rejected, mut stored) = (0, false);
        let mut incoming = Incoming::default();
        for (source, record) in records(request.into_inner()) {
            incoming.add(&source, record);
            if incoming.weight >= PIECE {
                (stored, rejected) = (true, rejected + incoming.rejected);
                self.keep(std::mem::take(&mut incoming)).await?;
            }
        }
        rejected += incoming.rejected;
        stored |= !incoming.batches.is_empty();
        self.keep(incoming).await?;
        if !stored && rejected > 0 {
            let description = format!("has {rejected} records, and all of them {SAYS_NOTHING}");
            return Err(Error::InvalidField { field: "resource_logs", description }.into());
        }
        let partial_success = (rejected > 0).then(|| ExportLogsPartialSuccess {
            rejected_log_records: rejected,
            error_message: format!("{rejected} records were not stored: they {SAYS_NOTHING}"),
        });
        Ok(tonic::Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

impl NamedService for Receiver {
    const NAME: &'static str = <LogsServiceServer<LogsService> as NamedService>::NAME;
}

impl Service<Request<Body>> for Receiver {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(unreadable(&answer).map(Status::into_http).unwrap_or(answer))
        })
    }
}

/// What to answer instead, when tonic could not read the request: it says OUT_OF_RANGE of a message that is
/// too large, which OTLP's clients send again for ever.
fn unreadable(answer: &Response<Body>) -> Option<Status> {
    let headers = answer.headers();
    // Our own refusals have details; nearly every answer has no status here at all.
    if !headers.contains_key(Status::GRPC_STATUS) || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    let (code, reason, message) = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            let message = format!("a request of more than {LARGEST} bytes, decompressed; send fewer records at a time");
            (Code::ResourceExhausted, ErrorReason::MessageTooLarge, message)
        }
        Code::Internal if status.message().starts_with("Error decompressing") => {
            let message = format!("the request could not be read: {}", status.message());
            (Code::InvalidArgument, ErrorReason::UnreadableMessage, message)
        }
        _ => return None,
    };
    Some(Refusal::new(code, proto::mesh::DOMAIN, reason.as_str_name(), message).into_status())
}
