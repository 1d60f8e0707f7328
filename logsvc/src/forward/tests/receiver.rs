//! A receiver whose answers the tests choose, and a log that they grow and shorten.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use proto::logs::LogRecord;
use proto::otlp::collector::logs_service_server::{LogsService, LogsServiceServer};
use proto::otlp::collector::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse};
use proto::otlp::common::any_value::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use super::*;
use crate::entry::Entry;

pub(super) type Answer = Result<i64, Status>;
pub(super) type Judge = Box<dyn Fn(&[Said], usize) -> Answer + Send + Sync>;

/// What came of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) service: String,
    pub(super) message: String,
    pub(super) uid: String,
}

/// What came in one request, and when.
pub(super) type Asked = (Vec<Said>, Instant);

/// A receiver that answers as it is told: how many it rejects, or a status.
#[derive(Clone)]
pub(super) struct Stub {
    pub(super) judge: Arc<Judge>,
    pub(super) requests: Arc<Mutex<Vec<Asked>>>,
    pub(super) taken: Arc<Mutex<Vec<Said>>>,
}

pub(super) fn text(value: Option<&proto::otlp::common::AnyValue>) -> String {
    match value.and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

pub(super) fn named(attributes: &[proto::otlp::common::KeyValue], key: &str) -> String {
    text(attributes.iter().find(|attribute| attribute.key == key).and_then(|attribute| attribute.value.as_ref()))
}

pub(super) fn said(request: &ExportLogsServiceRequest) -> Vec<Said> {
    let mut all = Vec::new();
    for logs in &request.resource_logs {
        let service = named(&logs.resource.as_ref().unwrap().attributes, "service.name");
        for record in logs.scope_logs.iter().flat_map(|logs| &logs.log_records) {
            let uid = named(&record.attributes, "log.record.uid");
            all.push(Said { service: service.clone(), message: text(record.body.as_ref()), uid });
        }
    }
    all
}

#[tonic::async_trait]
impl LogsService for Stub {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let said = said(request.get_ref());
        let number = {
            let mut requests = self.requests.lock().unwrap();
            requests.push((said.clone(), Instant::now()));
            requests.len()
        };
        let rejected_log_records = (self.judge)(&said, number)?;
        self.taken.lock().unwrap().extend(said);
        let partial = ExportLogsPartialSuccess { rejected_log_records, error_message: "not these".to_owned() };
        Ok(Response::new(ExportLogsServiceResponse { partial_success: (rejected_log_records > 0).then_some(partial) }))
    }
}

impl Stub {
    pub(super) fn new(judge: impl Fn(&[Said], usize) -> Answer + Send + Sync + 'static) -> Self {
        Self { judge: Arc::new(Box::new(judge)), requests: Arc::default(), taken: Arc::default() }
    }

    pub(super) async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        self.serve_on(listener);
        address
    }

    pub(super) fn serve_on(&self, listener: TcpListener) {
        let service = LogsServiceServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(service);
        mesh::spawn("receiver", async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|said| said.message.clone()).collect()
    }
}

/// A log in memory.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) entries: Arc<Mutex<Vec<Entry>>>,
    pub(super) end: watch::Sender<u64>,
}

impl Log {
    pub(super) fn of(count: u64) -> Self {
        let log = Self { entries: Arc::default(), end: watch::Sender::new(1) };
        log.grow(count);
        log
    }

    pub(super) fn grow(&self, count: u64) {
        let source = Arc::new(Source::parse("shop".into(), "s-1".into(), "p".into(), 3).unwrap());
        let mut entries = self.entries.lock().unwrap();
        let first = *self.end.borrow();
        entries.extend((first..first + count).map(|offset| {
            let record = LogRecord { sequence: offset, message: format!("m{offset}"), level: 9, ..Default::default() };
            Entry { offset, received: 1, source: source.clone(), record }
        }));
        self.end.send_replace(first + count);
    }

    pub(super) fn remove(&self, offsets: Range<u64>) {
        self.entries.lock().unwrap().retain(|entry| !offsets.contains(&entry.offset));
    }

    pub(super) fn feed(&self) -> Feed {
        let (entries, ends) = (self.entries.clone(), self.end.subscribe());
        let end = ends.clone();
        let read = move |from: u64, most: usize| {
            let entries = entries.lock().unwrap();
            let start = entries.first().map_or(*ends.borrow(), |entry| entry.offset);
            let found: Vec<Entry> = entries.iter().filter(|entry| entry.offset >= from).take(most).cloned().collect();
            let next = found.last().map_or(from.max(start), |entry| entry.offset + 1);
            Ok(Chunk { entries: found, next, removed: (from > 0 && from < start).then_some(from..start) })
        };
        Feed { read: Box::new(read), end }
    }
}
