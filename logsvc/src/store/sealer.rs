//! The thread that makes blocks of entries and segments of blocks, and removes old segments.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::block::{BLOCK, BLOCK_BYTES, Block};
use super::condition::Condition;
use super::disk::Disk;
use super::head::Head;
use super::marks::Marks;
use super::segment::Segment;
use super::wal;
use crate::entry::{self, Entry, weight};

/// Segments that may wait to be sealed, in memory and in write-ahead files, before nothing more is stored.
const MOST_UNSEALED: usize = 8;

/// How often age is looked at.
const TICK: Duration = Duration::from_secs(1);

/// When segments are sealed, and how long they are kept.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Records of a full block.
    pub(crate) block_records: usize,
    /// Blocks of a full segment.
    pub(crate) segment_blocks: usize,
    /// A segment with more bytes is sealed early.
    pub(crate) segment_bytes: usize,
    /// So is one whose first record is older.
    pub(crate) segment_age: Duration,
    /// Past this, write-ahead files included, the oldest segments are removed.
    pub(crate) keep_bytes: u64,
    /// Segments with nothing younger are removed.
    pub(crate) keep_age: Duration,
    /// The size of a write-ahead file.
    pub(crate) wal_file_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            block_records: BLOCK,
            segment_blocks: 64,
            segment_bytes: 32 * 1024 * 1024,
            segment_age: Duration::from_secs(600),
            keep_bytes: 8 * 1024 * 1024 * 1024,
            keep_age: Duration::from_secs(30 * 24 * 3600),
            wal_file_bytes: wal::FILE_BYTES,
        }
    }
}

/// Makes blocks and segments. Owned by its thread.
pub(super) struct Sealer {
    pub(super) disk: Arc<dyn Disk>,
    /// The folder of segments.
    pub(super) folder: PathBuf,
    pub(super) head: Arc<Head>,
    pub(super) condition: Arc<Condition>,
    pub(super) policy: Policy,
    /// How far each producer is stored in what was encoded.
    pub(super) marks: Marks,
    /// The hash of the latest segment.
    pub(super) previous: Vec<u8>,
    /// Committed entries that are in no block yet.
    pub(super) waiting: VecDeque<Arc<Vec<Entry>>>,
    /// How many of the first ones are in a block already, how many there are, and what they weigh.
    pub(super) taken: usize,
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// Blocks that are in no segment yet.
    pub(super) blocks: Vec<Arc<Block>>,
    /// Set while sealing fails, so that it is said once.
    pub(super) failing: bool,
}

impl Sealer {
    /// Works until the writer ends.
    pub(super) fn run(mut self, committed: Receiver<Vec<Arc<Vec<Entry>>>>) {
        loop {
            match committed.recv_timeout(TICK) {
                Ok(entries) => {
                    let condition = self.condition.clone();
                    for entries in entries {
                        condition.taken(weight_of(&entries));
                        self.push(entries);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.seal_when_due(entry::now());
            self.remove_old(entry::now());
        }
    }

    /// Takes committed entries, and makes blocks of what there is enough of.
    pub(super) fn push(&mut self, entries: Arc<Vec<Entry>>) {
        let expected = self.end();
        if entries.first().is_some_and(|first| expected.is_some_and(|expected| first.offset != expected)) {
            // Offsets are missing here because a file was damaged: a block has none missing.
            self.encode_rest();
        }
        self.count += entries.len();
        self.bytes += weight_of(&entries);
        self.waiting.push_back(entries);
        while self.count >= self.policy.block_records || self.bytes >= BLOCK_BYTES {
            if !self.encode() {
                return;
            }
        }
    }

    /// The offset after the last entry that waits.
    fn end(&self) -> Option<u64> {
        self.waiting.back().and_then(|entries| entries.last()).map(|last| last.offset + 1)
    }

    fn encode_rest(&mut self) {
        while self.count > 0 && self.encode() {}
    }

    /// Makes a block of the entries that have waited longest. Answers whether that worked.
    fn encode(&mut self) -> bool {
        let mut bytes = 0;
        let mut entries: Vec<&Entry> = Vec::with_capacity(self.policy.block_records);
        for entry in self.waiting.iter().flat_map(|entries| entries.iter()).skip(self.taken) {
            let next = weight(&entry.record);
            if entries.len() == self.policy.block_records || (bytes + next > BLOCK_BYTES && !entries.is_empty()) {
                break;
            }
            bytes += next;
            entries.push(entry);
        }
        let block = match Block::encode(&entries) {
            Ok(block) => Arc::new(block),
            Err(error) => return self.fail("encode a block of", &error),
        };
        for entry in &entries {
            self.marks.advance_by(entry);
        }
        let count = entries.len();
        self.count -= count;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.drop_taken(count);
        self.head.encoded(block.clone());
        self.blocks.push(block);
        true
    }

    fn drop_taken(&mut self, count: usize) {
        self.taken += count;
        while let Some(first) = self.waiting.front()
            && first.len() <= self.taken
        {
            self.taken -= first.len();
            self.waiting.pop_front();
        }
    }

    /// Seals segments that are full, and one that is old.
    pub(super) fn seal_when_due(&mut self, now: i64) {
        let age = i64::try_from(self.policy.segment_age.as_nanos()).unwrap_or(i64::MAX);
        let first = self.blocks.first().map(|block| block.summary.first_received);
        let first = first
            .or_else(|| self.waiting.front().and_then(|entries| entries.get(self.taken)).map(|first| first.received));
        if first.is_some_and(|first| now.saturating_sub(first) >= age) {
            self.encode_rest();
            while !self.blocks.is_empty() && self.seal() {}
        }
        while self.is_full() && self.seal() {}
        let too_much = self.blocks.len() > MOST_UNSEALED * self.policy.segment_blocks;
        self.condition.too_much_unsealed.store(too_much, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.blocks.len() >= self.policy.segment_blocks
            || self.blocks.iter().map(|block| block.bytes.len()).sum::<usize>() >= self.policy.segment_bytes
    }

    /// Seals the blocks that have waited longest. Answers whether that worked.
    fn seal(&mut self) -> bool {
        let count = self.blocks_of_next();
        // The marks are ahead of these blocks when others wait behind them: harmless, because those are in
        // the write-ahead files, and replaying what is stored already changes nothing.
        let written = Segment::write(&self.disk, &self.folder, &self.blocks[..count], &self.previous, &self.marks);
        let segment = match written {
            Ok(segment) => Arc::new(segment),
            Err(error) => return self.fail("seal a segment of", &error),
        };
        self.failing = false;
        self.condition.sealing_fails.store(false, Ordering::Relaxed);
        self.previous = segment.hash().to_vec();
        self.blocks.drain(..count);
        self.condition.released.store(segment.end_offset(), Ordering::Release);
        self.head.sealed(segment);
        self.marks.prune(entry::now());
        true
    }

    /// How many blocks the next segment takes: it ends before offsets that are missing.
    fn blocks_of_next(&self) -> usize {
        let most = self.blocks.len().min(self.policy.segment_blocks);
        let holes = self.blocks[..most].windows(2).position(|pair| pair[0].end() != pair[1].summary.first_offset);
        holes.map_or(most, |hole| hole + 1)
    }

    fn fail(&mut self, what: &str, error: &io::Error) -> bool {
        self.condition.sealing_fails.store(true, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(target: mesh::TERMINAL, "could not {what} the log, and will try again: {error}");
        }
        false
    }

    /// Removes the oldest segments when they are too old or all together too large.
    pub(super) fn remove_old(&mut self, now: i64) {
        let view = self.head.view();
        let age = i64::try_from(self.policy.keep_age.as_nanos()).unwrap_or(i64::MAX);
        let mut bytes = self.condition.wal_bytes.load(Ordering::Relaxed)
            + view.segments().iter().map(|segment| segment.bytes()).sum::<u64>();
        let mut removed = 0;
        // The latest one stays in any case: it knows which offset is next and what is stored of each producer.
        let older = view.segments().len().saturating_sub(1);
        for segment in &view.segments()[..older] {
            let (_, last) = segment.received();
            if bytes <= self.policy.keep_bytes && now.saturating_sub(last) < age {
                break;
            }
            if let Err(error) = self.disk.remove(&segment.path_in(&self.folder)) {
                self.fail("remove an old segment of", &error);
                break;
            }
            bytes -= segment.bytes();
            removed += 1;
        }
        if removed > 0 {
            // Should it come back after a power loss, it is removed again.
            let _again_at_the_next_start = self.disk.sync_folder(&self.folder);
            self.head.removed(removed);
        }
    }
}

/// What entries weigh in memory.
pub(super) fn weight_of(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| weight(&entry.record)).sum()
}
