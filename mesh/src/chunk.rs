//! Log records with contiguous sequence numbers, as the bytes of a `RecordBatch`.
//!
//! What is said is encoded once; from then on it is bytes, in memory, in the spool and
//! on the wire. A gap record stands for the numbers of the records that were lost.

use bytes::Bytes;
use prost::Message;
use prost::encoding::{decode_varint, encoded_len_varint};
use proto::logs::{Level, LevelCount, LogRecord, RecordBatch};

mod counts;

pub(crate) use counts::Counts;

use crate::record::wire;

/// `RecordBatch.records`, with its length before it.
const RECORD: u8 = 0x0a;

/// `LogRecord.sequence`, a varint.
const SEQUENCE: u8 = 0x08;

/// Some records. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chunk {
    bytes: Bytes,
    first: u64,
    last: u64,
    records: usize,
    counts: Counts,
}

/// A chunk that records are added to.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    bytes: Vec<u8>,
    first: u64,
    last: u64,
    records: usize,
    counts: Counts,
}

/// What has to be known of a record to count it: where it is, and what it stands for.
#[derive(Clone, PartialEq, Message)]
struct Place {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(int32, tag = "3")]
    level: i32,
    #[prost(message, repeated, tag = "11")]
    lost: Vec<LevelCount>,
}

impl Filling {
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// What a record of so many bytes will weigh here.
    pub(crate) fn weight(record: usize, sequence: u64) -> usize {
        let length = record + 1 + encoded_len_varint(sequence);
        1 + encoded_len_varint(length as u64) + length
    }

    /// Adds a record that was encoded without its number: one copy.
    pub(crate) fn push(&mut self, record: &[u8], sequence: u64, level: Level) {
        let length = record.len() + 1 + encoded_len_varint(sequence);
        self.bytes.reserve(length + 11);
        self.bytes.push(RECORD);
        wire::varint(&mut self.bytes, length as u64);
        self.bytes.extend_from_slice(record);
        self.bytes.push(SEQUENCE);
        wire::varint(&mut self.bytes, sequence);
        self.counts.add(level.into(), 1);
        self.extend_to(sequence, sequence);
    }

    /// Adds the place where these were lost, from `first` on. Answers what it weighs.
    pub(crate) fn push_gap(&mut self, first: u64, counts: &Counts) -> usize {
        let lost = counts.lost();
        let gap = LogRecord { sequence: first, level: Level::Warn.into(), lost, ..Default::default() };
        let before = self.bytes.len();
        self.bytes.push(RECORD);
        wire::varint(&mut self.bytes, gap.encoded_len() as u64);
        gap.encode_raw(&mut self.bytes);
        self.counts.add_all(counts);
        self.extend_to(first, first + counts.total().saturating_sub(1));
        self.bytes.len() - before
    }

    fn extend_to(&mut self, first: u64, last: u64) {
        if self.records == 0 {
            self.first = first;
        }
        self.last = last;
        self.records += 1;
    }

    pub(crate) fn finish(self) -> Chunk {
        let Self { bytes, first, last, records, counts } = self;
        Chunk { bytes: bytes.into(), first, last, records, counts }
    }

    /// The same, without the room that was left for more: for a chunk that may have to wait.
    pub(crate) fn finish_small(mut self) -> Chunk {
        self.bytes.shrink_to_fit();
        self.finish()
    }
}

impl Chunk {
    /// The place where these were lost.
    pub(crate) fn gap(first: u64, counts: &Counts) -> Self {
        let mut filling = Filling::default();
        filling.push_gap(first, counts);
        filling.finish()
    }

    /// Reads a batch back. None when it is not one, or its numbers are not contiguous.
    pub(crate) fn read(bytes: Bytes) -> Option<Self> {
        let (mut first, mut last, mut records, mut counts) = (0, 0, 0, Counts::default());
        for place in places(&bytes) {
            let place = place?;
            if records > 0 && place.first != last + 1 {
                return None;
            }
            if records == 0 {
                first = place.first;
            }
            last = place.last;
            records += 1;
            counts.add_all(&place.counts);
        }
        (records > 0).then_some(Self { bytes, first, last, records, counts })
    }

    /// Puts chunks together that follow on one another; none of none.
    pub(crate) fn join<'a>(chunks: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut chunks = chunks.into_iter();
        let mut joined = chunks.next()?.clone();
        let mut bytes = Vec::from(joined.bytes);
        for chunk in chunks {
            bytes.extend_from_slice(&chunk.bytes);
            joined.last = chunk.last;
            joined.records += chunk.records;
            joined.counts.add_all(&chunk.counts);
        }
        joined.bytes = bytes.into();
        Some(joined)
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The last number that it stands for: a gap stands for all that were lost.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Records and gap records.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// What every number in it stands for, by level: a record, or one that was lost.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What comes after a number; all of it when nothing does up to there.
    pub(crate) fn after(self, sequence: u64) -> Option<Self> {
        if sequence < self.first {
            return Some(self);
        }
        if sequence >= self.last {
            return None;
        }
        // A gap is whole or gone: the log service knows where it ended.
        let rest = places(&self.bytes).flatten().find(|place| place.last > sequence)?;
        Self::read(self.bytes.slice(rest.start..))
    }

    /// The first records, so many at most, and at least one.
    pub(crate) fn head(&self, most: usize) -> Self {
        if self.records <= most {
            return self.clone();
        }
        let end = places(&self.bytes).flatten().take(most.max(1)).last().map_or(0, |place| place.end);
        Self::read(self.bytes.slice(..end)).unwrap_or_else(|| self.clone())
    }

    /// As messages.
    pub(crate) fn decode(&self) -> Vec<LogRecord> {
        RecordBatch::decode(self.bytes.clone()).map(|batch| batch.records).unwrap_or_default()
    }
}

/// Where one record is, in bytes and in numbers.
struct Found {
    start: usize,
    end: usize,
    first: u64,
    last: u64,
    counts: Counts,
}

/// The records of a batch one after the other; none for what is no record, and then no more.
fn places(bytes: &[u8]) -> impl Iterator<Item = Option<Found>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= bytes.len() {
            return None;
        }
        let found = find(bytes, start);
        start = found.as_ref().map_or(bytes.len(), |found| found.end);
        Some(found)
    })
}

fn find(bytes: &[u8], start: usize) -> Option<Found> {
    let mut rest = bytes.get(start..)?.strip_prefix(&[RECORD])?;
    let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
    let record = rest.get(..length)?;
    let end = bytes.len() - rest.len() + length;
    let place = Place::decode(record).ok()?;
    let mut counts = Counts::default();
    if place.lost.is_empty() {
        counts.add(place.level, 1);
    }
    for lost in &place.lost {
        counts.add(lost.level, lost.count);
    }
    let last = place.sequence.checked_add(counts.total().checked_sub(1)?)?;
    Some(Found { start, end, first: place.sequence, last, counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Chunk {
        let mut filling = Filling::default();
        let record =
            |text: &str| LogRecord { message: text.to_owned(), level: 9, ..Default::default() }.encode_to_vec();
        filling.push(&record("one"), 1, Level::Info);
        let mut lost = Counts::default();
        lost.add(Level::Debug.into(), 300);
        filling.push_gap(2, &lost);
        filling.push(&record("last"), 302, Level::Info);
        filling.finish()
    }

    #[test]
    fn bytes_are_a_batch_and_say_what_they_stand_for() {
        let chunk = chunk();

        let records = chunk.decode();
        assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2, 302]);
        assert_eq!((chunk.first(), chunk.last(), chunk.records()), (1, 302, 3));
        assert_eq!((chunk.counts().of(Level::Debug), chunk.counts().total()), (300, 302));
        assert_eq!(Chunk::read(chunk.bytes().clone()), Some(chunk));
    }

    #[test]
    fn it_is_split_between_records_only() {
        let whole = chunk();
        let firsts = |chunk: Option<Chunk>| chunk.map(|chunk| (chunk.first(), chunk.last()));

        assert_eq!(firsts(whole.clone().after(0)), Some((1, 302)));
        assert_eq!(firsts(whole.clone().after(1)), Some((2, 302)));
        assert_eq!(firsts(whole.clone().after(100)), Some((2, 302)));
        assert_eq!(firsts(whole.clone().after(301)), Some((302, 302)));
        assert_eq!(firsts(whole.clone().after(302)), None);
        assert_eq!(firsts(Some(whole.head(2))), Some((1, 301)));
        let joined = Chunk::join([&whole.head(1), &whole.clone().after(1).unwrap()]);
        assert_eq!(joined, Some(whole));
    }

    #[test]
    fn garbage_is_no_chunk() {
        let whole = chunk();
        for end in 1..whole.bytes().len() {
            if let Some(part) = Chunk::read(whole.bytes().slice(..end)) {
                assert!(part.last() < 302, "cut at {end}");
            }
        }
        assert_eq!(Chunk::read(Bytes::new()), None);
    }

    #[test]
    fn counts_survive_the_disk() {
        let counts = *chunk().counts();

        assert_eq!(Counts::from_bytes(&counts.to_bytes()), counts);
    }
}
