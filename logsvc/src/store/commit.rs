//! What one frame of a write-ahead file holds: everything that was forced to disk together.

use std::sync::Arc;

use proto::logs::LogRecord;

use crate::entry::{Entry, Producer, Source};

/// The payload of a frame. Its records have offsets that follow one another.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Commit {
    /// When it was received, in nanoseconds since 1970.
    #[prost(sint64, tag = "1")]
    pub(crate) received: i64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) batches: Vec<Batch>,
}

/// Records of one source.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Batch {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(string, tag = "2")]
    pub(crate) instance: String,
    #[prost(string, tag = "3")]
    pub(crate) producer: String,
    /// 0 when its records have no sequence numbers.
    #[prost(uint64, tag = "4")]
    pub(crate) incarnation: u64,
    #[prost(bool, tag = "5")]
    pub(crate) last_words: bool,
    #[prost(message, repeated, tag = "6")]
    pub(crate) records: Vec<LogRecord>,
}

impl Commit {
    /// How many records it holds.
    pub(crate) fn count(&self) -> usize {
        self.batches.iter().map(|batch| batch.records.len()).sum()
    }

    /// Its entries, from an offset on: those of one batch share their source.
    pub(crate) fn into_entries(self, first_offset: u64) -> Vec<Arc<Vec<Entry>>> {
        let received = self.received;
        let mut offset = first_offset;
        let entries = |batch: Batch| {
            let producer = Producer { name: batch.producer, incarnation: batch.incarnation };
            let Batch { service, instance, last_words, records, .. } = batch;
            let source = Arc::new(Source { service, instance, producer, last_words });
            let entry = |record| {
                offset += 1;
                Entry { offset: offset - 1, received, source: source.clone(), record }
            };
            Arc::new(records.into_iter().map(entry).collect())
        };
        self.batches.into_iter().map(entries).collect()
    }
}

impl Batch {
    /// Records of a source.
    pub(crate) fn of(source: &Source, records: Vec<LogRecord>) -> Self {
        Self {
            service: source.service.clone(),
            instance: source.instance.clone(),
            producer: source.producer.name.clone(),
            incarnation: source.producer.incarnation,
            last_words: source.last_words,
            records,
        }
    }
}
