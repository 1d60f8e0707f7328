//! One tail: the last matching records, then each as it is stored.
//!
//! It reads by offset instead of being sent every record, so a slow reader is
//! behind and loses nothing until it is further behind than memory reaches; then
//! it is told how many it missed.

use proto::logs::{Level, TailRecord, TailRequest, TailResponse};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::entry::Entry;
use crate::error::Error;
use crate::recent::KEPT;
use crate::store::Store;

/// Entries looked at for one message: some 60 KiB of usual records.
const CHUNK: usize = 256;

/// What one message may weigh: an entry can have 256 KiB.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// Where the messages of a tail go.
pub(crate) type Messages = mpsc::Sender<Result<TailResponse, Status>>;

/// What a reader wants to see.
#[derive(Debug)]
pub(crate) struct Tail {
    last: usize,
    min_level: Level,
    services: Vec<String>,
    follow: bool,
}

impl Tail {
    /// Parses a request.
    pub(crate) fn parse(request: TailRequest) -> Result<Self, Error> {
        let invalid = |field, description: &str| Error::InvalidField { field, description: description.to_owned() };
        let last = usize::try_from(request.last).map_err(|_| invalid("last", "must not be negative"))?;
        let min_level =
            Level::try_from(request.min_level).map_err(|_| invalid("min_level", "must be a known level"))?;
        if request.services.len() > 64 || request.services.iter().any(|name| name.len() > 63) {
            return Err(invalid("services", "must be at most 64 names of services"));
        }
        Ok(Self { last: last.min(KEPT), min_level, services: request.services, follow: !request.no_follow })
    }

    /// Sends until the reader leaves or the service stops.
    pub(crate) async fn run(self, store: Store, messages: Messages, stopping: CancellationToken) {
        let ended = tokio::select! {
            ended = self.send_all(&store, &messages) => ended,
            () = stopping.cancelled() => Some(Error::Stopping.into()),
            () = messages.closed() => None,
        };
        if let Some(status) = ended {
            // A reader that is gone needs no reason.
            let _unread = messages.send(Err(status)).await;
        }
    }

    async fn send_all(&self, store: &Store, messages: &Messages) -> Option<Status> {
        let mut end = store.recent().end();
        let mut offset = store.recent().offset_of_last(self.last, |entry| self.wants(entry));
        loop {
            let now = *end.borrow_and_update();
            while offset < now {
                let read = store.recent().read(offset, CHUNK);
                offset = read.next;
                for message in self.messages(&read.entries, read.skipped) {
                    messages.send(Ok(message)).await.ok()?;
                }
            }
            if !self.follow || end.changed().await.is_err() {
                return None;
            }
        }
    }

    fn messages(&self, entries: &[std::sync::Arc<Entry>], skipped: u64) -> Vec<TailResponse> {
        let mut messages = vec![TailResponse { records: Vec::new(), skipped }];
        let mut bytes = 0;
        for entry in entries.iter().filter(|entry| self.wants(entry)) {
            bytes += entry.record.message.len()
                + entry.record.fields.iter().map(|field| field.name.len() + field.value.len()).sum::<usize>();
            if bytes > MESSAGE_BYTES {
                messages.push(TailResponse::default());
                bytes = 0;
            }
            if let Some(message) = messages.last_mut() {
                message.records.push(TailRecord {
                    service: entry.source.service.clone(),
                    instance_id: entry.source.instance.clone(),
                    record: Some(entry.record.clone()),
                });
            }
        }
        messages.retain(|message| !message.records.is_empty() || message.skipped > 0);
        messages
    }

    fn wants(&self, entry: &Entry) -> bool {
        entry.record.level() >= self.min_level
            && (self.services.is_empty() || self.services.contains(&entry.source.service))
    }
}
