//! What travels together, and how it is taken apart when a part of it is refused.

use std::collections::VecDeque;
use std::ops::Range;

use proto::otlp::collector::ExportLogsServiceRequest;

use crate::entry::Entry;
use crate::otlp::{Outgoing, Parts};

/// Records in one request: about what OpenTelemetry's own collector sends.
pub(super) const MOST: usize = 1000;

/// The size of one request, encoded: half of what receivers take that do not say how much they take.
const BYTES: usize = 2 * 1024 * 1024;

/// Entries under way, in the order of the log.
#[derive(Debug)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    /// What is still to be handed on, as ranges of the entries; the next one is the last.
    parts: Vec<Range<usize>>,
    /// The first request, made while measuring.
    first: Option<ExportLogsServiceRequest>,
}

impl Batch {
    /// Takes as many of the waiting entries as fit; at least one.
    pub(super) fn take(waiting: &mut VecDeque<Entry>) -> Self {
        let (mut request, mut entries, mut bytes) = (Outgoing::default(), Vec::new(), 0);
        while entries.len() < MOST
            && let Some(entry) = waiting.pop_front()
        {
            let parts = Parts::of(&entry).name(&uid(&entry));
            bytes += parts.bytes();
            if bytes > BYTES && !entries.is_empty() {
                waiting.push_front(entry);
                break;
            }
            request.add(parts);
            entries.push(entry);
        }
        let whole = 0..entries.len();
        Self { entries, parts: Vec::from([whole]), first: Some(request.into_request()) }
    }

    /// What to hand on next; empty when all is handed on.
    pub(super) fn part(&self) -> &[Entry] {
        self.parts.last().map_or(&[], |part| &self.entries[part.clone()])
    }

    /// The same as a request.
    pub(super) fn request(&mut self) -> ExportLogsServiceRequest {
        self.first.take().unwrap_or_else(|| {
            let mut request = Outgoing::default();
            self.part().iter().for_each(|entry| request.add(Parts::of(entry).name(&uid(entry))));
            request.into_request()
        })
    }

    /// The part is settled, one way or the other. Answers the offset after it.
    pub(super) fn settle(&mut self) -> Option<u64> {
        let part = self.parts.pop()?;
        Some(self.entries.get(part.end.checked_sub(1)?)?.offset + 1)
    }

    /// The part is refused: takes it in halves from now on. Answers the entry itself when it is only one.
    pub(super) fn split(&mut self) -> Option<Entry> {
        let part = self.parts.last()?.clone();
        if part.len() < 2 {
            return self.entries.get(part.start).cloned();
        }
        let middle = part.start + part.len() / 2;
        self.parts.pop();
        self.parts.push(middle..part.end);
        self.parts.push(part.start..middle);
        None
    }
}

/// What the record is called all over the world, also when it is sent again.
pub(super) fn uid(Entry { offset, received, source, record }: &Entry) -> String {
    let producer = &source.producer;
    if producer.is_sequenced() && record.sequence != 0 {
        return format!("{}/{}/{}", producer.name, producer.incarnation, record.sequence);
    }
    // With the time, because offsets begin anew in a log that was deleted.
    format!("{}/{}/{received}/{offset}", source.service, source.instance)
}
