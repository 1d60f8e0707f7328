//! The thread that hands on: one request at a time, in the order of the log.

use std::collections::VecDeque;
use std::error::Error as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use proto::logs::Field;
use proto::otlp::collector::logs_service_client::LogsServiceClient;
use proto::otlp::collector::{ExportLogsPartialSuccess, ExportLogsServiceRequest};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::batch::{self, Batch};
use super::cursor::Cursor;
use super::refused::Refused;
use super::troubles::Troubles;
use super::verdict::Verdict;
use super::{Feed, Progress, Settings};
use crate::cause;
use crate::entry::{self, Entry, Source};
use crate::otlp::UID;

/// What one request may take, as OpenTelemetry's own exporters have it.
const TIMEOUT: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long records wait for company before they travel.
const LINGER: Duration = Duration::from_millis(200);

/// Waits after failures: doubling from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A receiver that asks for more is asked again all the same: it may have been a slip.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// What the thread works with.
pub(super) struct Worker {
    feed: Feed,
    client: LogsServiceClient<Channel>,
    cursor: Cursor,
    refused: Refused,
    own: Source,
    progress: Arc<Progress>,
    pub(super) stop: CancellationToken,
    /// Entries that were read and belong to no batch yet.
    waiting: VecDeque<Entry>,
    batch: Option<Batch>,
    failures: u32,
    /// When to try again.
    resume: Option<Instant>,
    troubles: Troubles,
}

impl Worker {
    /// Reads the cursor. The runtime is made on the thread that drops it.
    pub(super) fn start(
        settings: Settings,
        feed: Feed,
        progress: Arc<Progress>,
        stop: CancellationToken,
    ) -> anyhow::Result<(Runtime, Self)> {
        let Settings { endpoint, folder, own } = settings;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let channel = {
            let _runtime = runtime.enter();
            let endpoint = Endpoint::from_shared(endpoint.clone())?;
            endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).connect_lazy()
        };
        let cursor = Cursor::open(&folder, &endpoint).context("could not read the cursor of forwarding")?;
        let mut worker = Self {
            feed,
            client: LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip),
            cursor,
            refused: Refused::at(&folder),
            own,
            progress,
            stop,
            waiting: VecDeque::new(),
            batch: None,
            failures: 0,
            resume: None,
            troubles: Troubles::default(),
        };
        worker.find_place();
        Ok((runtime, worker))
    }

    /// One request, or one wait. Answers whether there may be another.
    pub(super) async fn step(&mut self) -> bool {
        if let Some(resume) = self.resume.take()
            && !self.wait_until(resume).await
        {
            return false;
        }
        self.save_cursor();
        if self.batch.is_none() && !self.gather().await {
            return false;
        }
        if let Some(request) = self.batch.as_mut().map(Batch::request) {
            let answer = self.export(request).await;
            self.judge(answer);
        }
        !self.stop.is_cancelled()
    }

    /// Says what is wrong.
    pub(super) fn complain(&mut self) {
        self.troubles.say(&self.progress.endpoint);
    }

    /// Keeps how far it came.
    pub(super) fn finish(&mut self) {
        if let Err(error) = self.cursor.save() {
            tracing::warn!("could not keep how far log records are forwarded; some will be sent again: {error}");
        }
    }

    /// A cursor beyond the end is of a log that is no more; without one, all that is kept is handed on.
    fn find_place(&mut self) {
        let end = *self.feed.end.borrow();
        // The first entry that there is; what was removed before forwarding began is not missed.
        let first = || match (self.feed.read)(0, 1) {
            Ok(chunk) => chunk.entries.first().map_or(chunk.next, |entry| entry.offset),
            Err(_) => 0,
        };
        let next = self.cursor.next().filter(|next| *next <= end).unwrap_or_else(first);
        self.advance(next);
    }

    fn advance(&mut self, next: u64) {
        self.cursor.advance(next);
        self.progress.lock().next_offset = next;
    }

    /// The offset to read from.
    fn place(&self) -> u64 {
        self.waiting.back().map(|entry| entry.offset + 1).or(self.cursor.next()).unwrap_or_default()
    }

    /// Makes the next batch, once there is something for it. Answers no when there will be none.
    async fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            if !self.wait_for_entries().await {
                return false;
            }
            let place = self.place();
            self.read_on(place);
        }
        if !self.waiting.is_empty() {
            self.batch = Some(Batch::take(&mut self.waiting));
        }
        true
    }

    fn read_on(&mut self, place: u64) {
        let chunk = match (self.feed.read)(place, batch::MOST) {
            Ok(chunk) => chunk,
            Err(error) => return self.fail(format!("the log could not be read: {error}"), None),
        };
        self.waiting.extend(chunk.removed.map(|removed| missing(&self.own, removed)));
        self.waiting.extend(chunk.entries);
        if self.waiting.is_empty() {
            // What is damaged is passed: that it is was said in the log when it was found.
            self.advance(chunk.next.max(place + 1));
        }
    }

    /// Waits for entries, and then for company for them.
    async fn wait_for_entries(&mut self) -> bool {
        let place = self.place();
        loop {
            let due = self.cursor.due();
            let cursor_is_due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                is_more = reaches(&mut self.feed.end, place + 1) => match is_more {
                    true => break,
                    false => return false,
                },
                () = cursor_is_due => self.save_cursor(),
            }
        }
        let full = place + batch::MOST as u64;
        tokio::select! {
            () = self.stop.cancelled() => return false,
            _full_or_late = tokio::time::timeout(LINGER, reaches(&mut self.feed.end, full)) => {}
        }
        true
    }

    async fn export(&mut self, request: ExportLogsServiceRequest) -> Result<Option<ExportLogsPartialSuccess>, Status> {
        let mut request = Request::new(request);
        request.set_timeout(TIMEOUT);
        self.client.export(request).await.map(|answer| answer.into_inner().partial_success)
    }

    /// Goes on, or does not, as the answer wants it.
    fn judge(&mut self, answer: Result<Option<ExportLogsPartialSuccess>, Status>) {
        let status = match answer {
            Ok(partial) => {
                let rejected = partial.as_ref().map_or(0, |partial| partial.rejected_log_records);
                if let Some(count) = u64::try_from(rejected).ok().filter(|count| *count > 0) {
                    self.count_refused(count, partial.map(|partial| partial.error_message).unwrap_or_default());
                }
                return self.settle();
            }
            Err(status) => status,
        };
        let words = describe(&status);
        match Verdict::of(&status) {
            Verdict::Again(wait) => self.fail(words, wait),
            Verdict::Unwelcome => self.fail(words, Some(LONGEST_WAIT)),
            Verdict::Refused => {
                if let Some(entry) = self.batch.as_mut().and_then(Batch::split) {
                    self.give_up(&entry, words);
                }
            }
        }
    }

    /// One record that the receiver will never take.
    fn give_up(&mut self, entry: &Entry, why: String) {
        if let Err(error) = self.refused.keep(entry, &why) {
            return self.fail(format!("a record that was refused could not be kept: {error}"), Some(LONGEST_WAIT));
        }
        self.count_refused(1, why);
        self.settle();
    }

    fn settle(&mut self) {
        let next = self.batch.as_mut().and_then(Batch::settle);
        self.batch.take_if(|batch| batch.part().is_empty());
        if let Some(next) = next {
            self.advance(next);
        }
        self.progress.lock().last_error.clear();
        self.failures = 0;
        self.troubles.trouble_is_over();
    }

    fn count_refused(&mut self, count: u64, why: String) {
        self.troubles.refused(count, why);
        self.progress.lock().refused += count;
    }

    /// Tries again later: half of the wait is certain, half is chance; what the receiver asked for is certain.
    fn fail(&mut self, words: String, asked: Option<Duration>) {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures += 1;
        let wait = doubled.mul_f64(0.5 + fastrand::f64() / 2.0).max(asked.unwrap_or_default().min(LONGEST_ASKED));
        self.resume = Some(Instant::now() + wait);
        self.progress.lock().last_error.clone_from(&words);
        self.troubles.trouble(words);
    }

    fn save_cursor(&mut self) {
        if let Err(error) = self.cursor.save_when_due() {
            let words = format!("how far they are handed on could not be kept: {error}");
            self.progress.lock().last_error.clone_from(&words);
            self.troubles.trouble(words);
        }
    }

    /// Answers no when the process stops instead.
    async fn wait_until(&self, when: Instant) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep_until(when) => true,
        }
    }
}

/// An answer that is not OK, for people; of a connection that broke, why it did.
fn describe(status: &Status) -> String {
    match status.source() {
        Some(cause) => cause::words(cause),
        None => format!("{:?}: {}", status.code(), status.message()),
    }
}

/// Waits until the log ends at an offset or after it. Answers no when it will not any more.
async fn reaches(end: &mut watch::Receiver<u64>, offset: u64) -> bool {
    end.wait_for(|end| *end >= offset).await.is_ok()
}

/// What retention removed before it was handed on, as a gap record in its place.
fn missing(own: &Source, removed: Range<u64>) -> Entry {
    let count = removed.end.saturating_sub(removed.start);
    let words = format!(
        "{count} log records were removed before they were handed on: offsets {} to before {}",
        removed.start, removed.end
    );
    let received = entry::now();
    let mut record = Entry::lost(removed.clone(), words, received).record;
    // Not by when it was found out: that differs when it is sent again.
    let uid = format!("{}/{}/removed/{}-{}", own.service, own.instance, removed.start, removed.end);
    record.fields.push(Field { name: UID.to_owned(), value: uid, ..Default::default() });
    Entry { offset: removed.end.saturating_sub(1), received, source: Arc::new(own.clone()), record }
}
