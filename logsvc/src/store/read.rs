//! Reading on from an offset, for whoever follows the log: mirror, hand-over, tails.

use std::ops::{ControlFlow, Range};

use super::{Store, View};
use crate::entry::{Entry, weight};
use crate::filter::Filter;
use crate::scan::{Order, Sink, scan};

/// What one reading takes at most, by what entries weigh in memory.
const CHUNK_BYTES: usize = 2 * 1024 * 1024;

/// What one reading passes at most without finding enough: a search for something rare says where it is.
const CHUNK_PIECES: usize = 256;

/// Entries that follow one another.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) entries: Vec<Entry>,
    /// Where to read on.
    pub(crate) next: u64,
    /// Offsets before these entries that retention has removed.
    pub(crate) removed: Option<Range<u64>>,
}

impl Store {
    /// Up to `most` entries from an offset on. Reads from disk: not for async code.
    pub(crate) fn read(&self, from: u64, most: usize) -> Chunk {
        self.view().read(from, most, &Filter::default())
    }
}

impl View {
    /// Up to `most` matching entries from an offset on. Reads from disk: not for async code.
    pub(crate) fn read(&self, from: u64, most: usize, filter: &Filter) -> Chunk {
        let start = self.start();
        let first = from.max(start);
        let removed = (from < start && from > 0).then_some(from..start);
        let mut chunk = Chunk { next: first, removed, ..Default::default() };
        let wanted = filter.offsets();
        let range = first.max(wanted.start)..self.end().min(wanted.end);
        let mut reading = Reading { chunk: &mut chunk, most, bytes: 0, pieces: 0 };
        if scan(self, &range, Order::OldestFirst, filter, &mut reading).is_continue() {
            chunk.next = chunk.next.max(self.end());
        }
        chunk
    }
}

struct Reading<'a> {
    chunk: &'a mut Chunk,
    most: usize,
    bytes: usize,
    pieces: usize,
}

impl Sink for Reading<'_> {
    fn wanted(&self) -> usize {
        self.most.saturating_sub(self.chunk.entries.len())
    }

    fn take(&mut self, entry: Entry) -> ControlFlow<()> {
        self.bytes += weight(&entry.record);
        self.chunk.next = entry.end();
        self.chunk.entries.push(entry);
        self.enough()
    }

    fn passed(&mut self, piece: Range<u64>, _: bool) -> ControlFlow<()> {
        self.chunk.next = self.chunk.next.max(piece.end);
        self.pieces += 1;
        self.enough()
    }
}

impl Reading<'_> {
    fn enough(&self) -> ControlFlow<()> {
        let is_full = self.chunk.entries.len() >= self.most || self.bytes >= CHUNK_BYTES;
        if is_full || self.pieces >= CHUNK_PIECES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
