//! What the specimen does.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness::specimen::specimen_service_server::SpecimenService;
use harness::specimen::{
    EchoRequest, EchoResponse, EmitRequest, EmitResponse, GatherRequest, GatherResponse, LogRequest, LogResponse,
    MirrorRequest, MirrorResponse, ReportRequest, ReportResponse, Task, WriteRequest, WriteResponse,
};
use mesh::Call;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming};

/// Events that are due in less than this are logged at once.
const PACE: Duration = Duration::from_millis(5);

/// Does what it is told.
#[derive(Debug)]
pub(crate) struct Specimen {
    instance: String,
    task: Task,
    counts: Arc<Counts>,
    writes: Mutex<HashSet<String>>,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    dropped: AtomicU64,
}

/// A handler at work; dropped before its end it counts as dropped.
struct AtWork {
    counts: Arc<Counts>,
    done: bool,
}

impl AtWork {
    fn begin(counts: &Arc<Counts>) -> Self {
        counts.begun.fetch_add(1, Ordering::Relaxed);
        Self { counts: counts.clone(), done: false }
    }

    fn end(mut self) {
        self.done = true;
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if !self.done {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Specimen {
    pub(crate) fn new(instance: String, task: Task) -> Self {
        Self { instance, task, counts: Arc::default(), writes: Mutex::default() }
    }

    async fn perform(&self, task: Option<Task>) -> Result<(), Status> {
        let at_work = AtWork::begin(&self.counts);
        let task = task.as_ref().unwrap_or(&self.task);
        let duration = |told: &Option<prost_types::Duration>| told.as_ref().and_then(mesh::from_duration);
        if let Some(wait) = duration(&task.wait).filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait).await;
        }
        if let Some(work) = duration(&task.work) {
            let began = Instant::now();
            while began.elapsed() < work {
                std::hint::spin_loop();
            }
        }
        assert!(!task.panic, "told to");
        at_work.end();
        match Code::from_i32(task.code) {
            Code::Ok => Ok(()),
            code => Err(Status::new(code, "told to")),
        }
    }
}

#[tonic::async_trait]
impl SpecimenService for Specimen {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        let call = Call::of(&request);
        let left = call.deadline().map(|deadline| deadline.saturating_duration_since(tokio::time::Instant::now()));
        let attempts = request.metadata().get("grpc-previous-rpc-attempts").and_then(|n| n.to_str().ok()?.parse().ok());
        let EchoRequest { text, task } = request.into_inner();
        self.perform(task).await?;
        Ok(Response::new(EchoResponse {
            text,
            instance: self.instance.clone(),
            caller: call.caller().to_owned(),
            request_id: call.request_id().to_owned(),
            trace_id: call.trace_id(),
            left: left.and_then(|left| left.try_into().ok()),
            attempts_before: attempts.unwrap_or_default(),
        }))
    }

    async fn write(&self, request: Request<WriteRequest>) -> Result<Response<WriteResponse>, Status> {
        let WriteRequest { request_id, task } = request.into_inner();
        self.perform(task).await?;
        self.writes.lock().unwrap_or_else(PoisonError::into_inner).insert(request_id);
        Ok(Response::new(WriteResponse {}))
    }

    async fn mirror(&self, request: Request<MirrorRequest>) -> Result<Response<MirrorResponse>, Status> {
        let MirrorRequest { shapes, tag, etag, request_id, update_mask } = request.into_inner();
        Ok(Response::new(MirrorResponse { shapes, tag, etag, request_id, update_mask }))
    }

    type EmitStream = Pin<Box<dyn Stream<Item = Result<EmitResponse, Status>> + Send>>;

    async fn emit(&self, request: Request<EmitRequest>) -> Result<Response<Self::EmitStream>, Status> {
        let EmitRequest { count, interval, panic_at } = request.into_inner();
        let interval = interval.as_ref().and_then(mesh::from_duration).unwrap_or_default();
        let at_work = AtWork::begin(&self.counts);
        let numbers = futures_util::stream::unfold((1, at_work), move |(number, at_work)| async move {
            if number > count {
                at_work.end();
                return None;
            }
            tokio::time::sleep(interval).await;
            assert!(number != panic_at, "told to");
            Some((Ok(EmitResponse { number }), (number + 1, at_work)))
        });
        Ok(Response::new(Box::pin(numbers)))
    }

    async fn gather(&self, request: Request<Streaming<GatherRequest>>) -> Result<Response<GatherResponse>, Status> {
        let at_work = AtWork::begin(&self.counts);
        let mut requests = request.into_inner();
        let mut count = 0;
        while let Some(request) = requests.next().await {
            request?;
            count += 1;
        }
        at_work.end();
        Ok(Response::new(GatherResponse { count }))
    }

    async fn log(&self, request: Request<LogRequest>) -> Result<Response<LogResponse>, Status> {
        mesh::spawn("events", log(request.into_inner()));
        Ok(Response::new(LogResponse {}))
    }

    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        Ok(Response::new(ReportResponse {
            begun: self.counts.begun.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            writes: self.writes.lock().unwrap_or_else(PoisonError::into_inner).len() as u64,
        }))
    }
}

/// Logs, some every few milliseconds, so that the rate is kept whatever the timer can do.
async fn log(request: LogRequest) {
    let LogRequest { name, count, per_second, padding } = request;
    let (began, padding) = (Instant::now(), "x".repeat(padding as usize));
    for number in 1..=count {
        if per_second > 0 {
            let due = Duration::from_secs_f64(f64::from(number) / f64::from(per_second));
            let left = due.saturating_sub(began.elapsed());
            if left > PACE {
                tokio::time::sleep(left).await;
            }
        }
        tracing::info!(event.name = name, event.number = number, "event {number} of {name}{padding}");
    }
}
