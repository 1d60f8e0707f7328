//! Exports spans over OTLP, from a thread and runtime of its own.
//!
//! It makes no ids and samples nothing: what it is given travels as it is. The
//! thread has no subscriber while it exports, so that exporting never feeds on its
//! own events. No request waits for it: while the collector is away, spans wait in
//! a bounded queue, and what does not fit is dropped and counted.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::dispatcher;

use crate::call::Call;

mod span;
#[cfg(test)]
mod tests;

pub(crate) use span::{Kind, Span};

/// Spans that wait while the collector is slow or away: some 4 MB of them.
const QUEUE: usize = 8192;

/// Spans in one export, as OpenTelemetry's own exporters have it: far below gRPC's 4 MiB.
const BATCH: usize = 512;

/// Longer names are cut: strangers ask for methods of any length, and the queue is bounded in spans.
const LONGEST_NAME: usize = 256;

/// How long spans wait for company before they travel.
const LINGER: Duration = Duration::from_millis(500);

/// How long the last spans are tried when the process stops.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// How long stopping waits: a little longer, so that what was lost is still said.
const STOP: Duration = Duration::from_secs(2);

/// How often lost spans are said at most.
const QUIET: Duration = Duration::from_secs(60);

/// The names of our attributes are of this version; later ones have others.
const CONVENTIONS: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Tells of pages that they were answered: for the edge, whose requests pass no inbound stack of gRPC.
#[derive(Debug, Clone, Default)]
pub struct Pages(pub(crate) Option<Exporter>);

impl Pages {
    /// Exports the span of a page, if traces are exported. `asked` is as in `GET /products`.
    pub fn answered(&self, asked: &str, call: &Call, took: Duration, status: u16) {
        if let Some(exporter) = self.0.as_ref().filter(|_| call.trace().is_sampled()) {
            exporter.record(Span::page(asked, call, took, status));
        }
    }
}

/// Where spans go when they end. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Exporter {
    queue: mpsc::Sender<Span>,
    lost: Arc<AtomicU64>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Exporter {
    /// Starts the thread; refuses an endpoint that no span could ever reach.
    pub(crate) fn start(endpoint: &str, service: &str, instance: &str, version: &str) -> anyhow::Result<Self> {
        let uri: http::Uri = endpoint.parse().with_context(|| format!("{endpoint:?} is no URL of a collector"))?;
        ensure!(uri.scheme_str() == Some("http"), "{endpoint:?} is no URL of a collector: it begins with http://");
        let resource = resource(service, instance, version);
        let (queue, spans) = mpsc::channel(QUEUE);
        let exporter =
            Self { queue, lost: Arc::default(), stop: CancellationToken::new(), ended: CancellationToken::new() };

        // The thread has no share in the queue, so that dropping the last exporter ends it too.
        let (lost, stop, ended) = (exporter.lost.clone(), exporter.stop.clone(), exporter.ended.clone());
        let endpoint = endpoint.to_owned();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("span exporter".to_owned()).spawn(move || {
            let _ended = ended.drop_guard();
            // The runtime is made here because it may not be dropped inside another one, not even when the rest fails.
            let _told = match connect(&endpoint, &resource) {
                Ok((runtime, client)) => {
                    let told = tell.send(Ok(()));
                    export(runtime, Worker::new(endpoint, client, spans, lost, stop));
                    told
                }
                Err(error) => tell.send(Err(error)),
            };
        })?;
        // Connecting is lazy, so this waits for a thread to start and for nothing else.
        told.recv().context("the span exporter's thread ended at once")??;
        Ok(exporter)
    }

    /// Takes a span that ended, or counts it as lost when there is no room. Never waits.
    pub(crate) fn record(&self, mut span: Span) {
        if span.name.len() > LONGEST_NAME {
            span.name.truncate(span.name.floor_char_boundary(LONGEST_NAME));
            span.name.shrink_to_fit();
        }
        if self.queue.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Exports what is left and ends, in two seconds at most.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // Late is as good as ended: the thread ends by itself, and the process does not wait for it.
        let _late = tokio::time::timeout(STOP, self.ended.cancelled()).await;
    }

    /// How many spans were lost since the process started.
    #[cfg(test)]
    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What all spans of this process have in common. `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(service: &str, instance: &str, version: &str) -> Resource {
    Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes([
            KeyValue::new("service.name", service.to_owned()),
            KeyValue::new("service.instance.id", instance.to_owned()),
            KeyValue::new("service.version", version.to_owned()),
        ])
        .build()
}

fn connect(endpoint: &str, resource: &Resource) -> anyhow::Result<(Runtime, opentelemetry_otlp::SpanExporter)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = {
        let _runtime = runtime.enter();
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()
    };
    let mut client = client.with_context(|| format!("cannot export spans to {endpoint}"))?;
    client.set_resource(resource);
    Ok((runtime, client))
}

/// Exports until there is nothing left to export, or no time.
fn export(runtime: Runtime, mut worker: Worker) {
    let stop = worker.stop.clone();
    let mut last_words = pin!(async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    });
    loop {
        let quiet = dispatcher::set_default(&crate::silent::dispatch());
        let goes_on = runtime.block_on(async {
            tokio::select! {
                goes_on = worker.export_batch() => goes_on,
                () = last_words.as_mut() => false,
            }
        });
        drop(quiet);
        if !goes_on {
            break;
        }
        worker.complain();
    }
    worker.give_up();
    let _quiet = dispatcher::set_default(&crate::silent::dispatch());
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
}

/// What the thread works with.
#[derive(Debug)]
struct Worker {
    endpoint: String,
    client: opentelemetry_otlp::SpanExporter,
    spans: mpsc::Receiver<Span>,
    lost: Arc<AtomicU64>,
    stop: CancellationToken,
    scope: InstrumentationScope,
    under_way: u64,
    complaint: Complaint,
}

/// What was said of lost spans.
#[derive(Debug, Default)]
struct Complaint {
    lost: u64,
    when: Option<Instant>,
    error: Option<String>,
}

impl Worker {
    fn new(
        endpoint: String,
        client: opentelemetry_otlp::SpanExporter,
        spans: mpsc::Receiver<Span>,
        lost: Arc<AtomicU64>,
        stop: CancellationToken,
    ) -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(CONVENTIONS)
            .build();
        Self { endpoint, client, spans, lost, stop, scope, under_way: 0, complaint: Complaint::default() }
    }

    /// Exports one batch. Answers whether there may be another.
    async fn export_batch(&mut self) -> bool {
        let batch = self.gather().await;
        if batch.is_empty() {
            return false;
        }
        self.under_way = batch.len() as u64;
        let batch = batch.into_iter().map(|span| span.into_data(&self.scope)).collect();
        // The client tries again by itself where the protocol says that it helps.
        if let Err(error) = self.client.export(batch).await {
            self.complaint.error = Some(error.to_string());
            self.lost.fetch_add(self.under_way, Ordering::Relaxed);
        }
        self.under_way = 0;
        true
    }

    /// Waits for spans, and then for company for them. None come when the process stops.
    async fn gather(&mut self) -> Vec<Span> {
        let Self { spans, stop, .. } = self;
        let mut batch = Vec::new();
        let gathered = async {
            batch.extend(spans.recv().await);
            let company = async {
                while batch.len() < BATCH {
                    let room = BATCH - batch.len();
                    if spans.recv_many(&mut batch, room).await == 0 {
                        return;
                    }
                }
            };
            let _full_or_late = tokio::time::timeout(LINGER, company).await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = gathered => return batch,
        }
        spans.close();
        while batch.len() < BATCH
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        batch
    }

    /// Says that spans were lost: now and then only, because a collector may be away for days.
    fn complain(&mut self) {
        let Complaint { lost: said, when, error } = &mut self.complaint;
        let lost = self.lost.load(Ordering::Relaxed) - *said;
        if lost == 0 || when.is_some_and(|when| when.elapsed() < QUIET) {
            return;
        }
        *said += lost;
        *when = Some(Instant::now());
        let why = error.take().unwrap_or_else(|| "they came faster than it takes them".to_owned());
        tracing::warn!(
            spans.lost = lost,
            collector = self.endpoint,
            "{lost} spans did not reach the collector at {}: {why}",
            self.endpoint
        );
    }

    /// Counts what stays behind when the process stops, and says it whenever it was said last.
    fn give_up(&mut self) {
        self.spans.close();
        self.lost.fetch_add(self.under_way + self.spans.len() as u64, Ordering::Relaxed);
        self.complaint.when = None;
        self.complain();
    }
}
