//! What readers see: sealed segments, encoded blocks, and the latest entries as they are.
//!
//! A reader takes a [`View`], which does not change: what is stored later is not in
//! it, and a segment that retention removes meanwhile stays open until it is dropped.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::block::{Block, Summary};
use super::segment::Segment;
use crate::entry::Entry;

/// The log as it is now.
#[derive(Debug)]
pub(crate) struct Head {
    now: Mutex<View>,
    /// The offset after the last record; rises with each commit.
    end: watch::Sender<u64>,
}

/// The log as it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    segments: Arc<Vec<Arc<Segment>>>,
    blocks: Vec<Arc<Block>>,
    /// Entries as they were committed; the first ones may be in the last block already.
    open: Vec<Arc<Vec<Entry>>>,
    end: u64,
}

/// A part of the log that is read at once.
#[derive(Debug, Clone)]
pub(crate) enum Piece<'a> {
    /// A block of a segment, by its number.
    Sealed(&'a Segment, usize),
    Encoded(&'a Block),
    Open(&'a [Entry]),
    /// Offsets that were lost with a file, and when the next record was received.
    Missing(Range<u64>, i64),
}

impl Head {
    /// A log with these segments and nothing else yet.
    pub(crate) fn new(segments: Vec<Arc<Segment>>, end: u64) -> Self {
        let view = View { segments: Arc::new(segments), end, ..Default::default() };
        Self { now: Mutex::new(view), end: watch::Sender::new(end) }
    }

    /// The log as it is now.
    pub(crate) fn view(&self) -> View {
        self.lock().clone()
    }

    /// Tells of each commit the offset after its last record.
    pub(crate) fn end(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// Ends the log at an offset: those before it that nobody has are lost.
    pub(crate) fn end_at(&self, end: u64) {
        self.lock().end = end;
        self.end.send_replace(end);
    }

    /// Adds entries that are on disk.
    pub(crate) fn commit(&self, entries: Vec<Arc<Vec<Entry>>>) {
        let mut now = self.lock();
        let Some(last) = entries.last().and_then(|entries| entries.last()) else { return };
        now.end = last.offset + 1;
        now.open.extend(entries);
        let end = now.end;
        drop(now);
        self.end.send_replace(end);
    }

    /// Puts a block in the place of the entries that it was made of.
    pub(crate) fn encoded(&self, block: Arc<Block>) {
        let mut now = self.lock();
        let end = block.end();
        now.blocks.push(block);
        now.open.retain(|entries| entries.last().is_some_and(|last| last.offset >= end));
    }

    /// Puts a segment in the place of its blocks.
    pub(crate) fn sealed(&self, segment: Arc<Segment>) {
        let mut now = self.lock();
        now.blocks.retain(|block| block.summary.first_offset >= segment.end_offset());
        Arc::make_mut(&mut now.segments).push(segment);
    }

    /// Takes out the oldest segments.
    pub(crate) fn removed(&self, count: usize) {
        Arc::make_mut(&mut self.lock().segments).drain(..count);
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    /// The first offset that is still there; without a segment nothing was ever removed.
    pub(crate) fn start(&self) -> u64 {
        self.segments.first().map_or(1, |segment| segment.first_offset())
    }

    /// The offset after the last record.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// When the first record that is still there was received.
    pub(crate) fn first_received(&self) -> Option<i64> {
        self.held_since(0).find(|piece| !piece.offsets().is_empty()).map(|piece| piece.first_received())
    }

    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// An offset before which everything was received before a time, and not much more than that.
    pub(crate) fn received_after(&self, time: i64) -> u64 {
        let everything = 0..self.end;
        let mut later = self.pieces(&everything).into_iter().filter(|piece| match piece {
            Piece::Open(entries) => entries.last().is_some_and(|last| last.received >= time),
            _ => piece.summary().is_some_and(|summary| summary.last_received >= time),
        });
        later.next().map_or(self.end, |piece| piece.offsets().start)
    }

    /// Everything that holds some of these offsets, in their order, and what is missing between.
    pub(crate) fn pieces(&self, offsets: &Range<u64>) -> Vec<Piece<'_>> {
        let first = self.segments.partition_point(|segment| segment.end_offset() <= offsets.start);
        // What is before the first segment was removed, not lost.
        let before = first.checked_sub(1).and_then(|before| self.segments.get(before));
        let mut expected = before.map_or_else(|| self.start(), |before| before.end_offset());
        let mut pieces = Vec::new();
        for piece in self.held_since(first) {
            let held = piece.offsets();
            if held.is_empty() {
                continue;
            }
            if held.start > expected {
                pieces.push(Piece::Missing(expected..held.start, piece.first_received()));
            }
            expected = held.end;
            pieces.push(piece);
            if held.end >= offsets.end {
                break;
            }
        }
        if expected < self.end.min(offsets.end) {
            pieces.push(Piece::Missing(expected..self.end, 0));
        }
        pieces.retain(|piece| piece.offsets().start < offsets.end && piece.offsets().end > offsets.start);
        pieces
    }

    /// Everything from the segment with this number on.
    fn held_since(&self, first: usize) -> impl Iterator<Item = Piece<'_>> {
        let segments = self.segments.iter().skip(first);
        let sealed =
            segments.flat_map(|segment| (0..segment.blocks().len()).map(|number| Piece::Sealed(segment, number)));
        let encoded = self.blocks.iter().map(|block| Piece::Encoded(block));
        // The last block may be sealed already while entries after it wait in the same batch.
        let covered = self.blocks.last().map(|block| block.end());
        let covered = covered.or_else(|| self.segments.last().map(|segment| segment.end_offset())).unwrap_or(0);
        let open = self.open.iter().map(move |entries| {
            let skipped = entries.partition_point(|entry| entry.offset < covered);
            Piece::Open(&entries[skipped..])
        });
        sealed.chain(encoded).chain(open)
    }
}

impl Piece<'_> {
    /// The offsets that it holds.
    pub(crate) fn offsets(&self) -> Range<u64> {
        match self {
            Self::Open(entries) => match (entries.first(), entries.last()) {
                (Some(first), Some(last)) => first.offset..last.offset + 1,
                _ => 0..0,
            },
            Self::Missing(offsets, _) => offsets.clone(),
            _ => self.summary().map_or(0..0, |summary| summary.first_offset..summary.end()),
        }
    }

    /// When its first record was received; for what is missing, when the next one was.
    fn first_received(&self) -> i64 {
        match self {
            Self::Open(entries) => entries.first().map_or(0, |first| first.received),
            Self::Missing(_, received) => *received,
            _ => self.summary().map_or(0, |summary| summary.first_received),
        }
    }

    /// What is known of it without reading it.
    pub(crate) fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Sealed(segment, number) => segment.blocks().get(*number),
            Self::Encoded(block) => Some(&block.summary),
            Self::Open(_) | Self::Missing(..) => None,
        }
    }
}
