//! Reading the log for whatever matches, in either direction: under queries, tails and hand-overs alike.

use std::cell::RefCell;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crate::entry::{Entry, Producer, Source, damage};
use crate::filter::{Filter, Found};
use crate::store::{Piece, Segment, Summary, View};

/// In which order records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    OldestFirst,
    NewestFirst,
}

/// Who a scan is for.
pub(crate) trait Sink {
    /// Takes a record that matches.
    fn take(&mut self, entry: Entry) -> ControlFlow<()>;

    /// Is told after each piece which offsets it held, and whether it had to be read.
    fn passed(&mut self, piece: Range<u64>, read: bool) -> ControlFlow<()>;
}

/// Gives a sink what matches within some offsets, in order. Breaks when the sink had enough.
///
/// What cannot be read is a gap record in its place.
pub(crate) fn scan(
    view: &View,
    offsets: &Range<u64>,
    order: Order,
    filter: &Filter,
    sink: &mut dyn Sink,
) -> ControlFlow<()> {
    let mut scan = Scan { offsets, order, filter, sink, candidates: None };
    let mut pieces = view.pieces(offsets);
    match order {
        Order::OldestFirst => pieces.try_for_each(|piece| scan.piece(&piece)),
        Order::NewestFirst => pieces.rev().try_for_each(|piece| scan.piece(&piece)),
    }
}

struct Scan<'a> {
    offsets: &'a Range<u64>,
    order: Order,
    filter: &'a Filter,
    sink: &'a mut dyn Sink,
    /// Which blocks of the segment that is being read may match, by its first offset.
    candidates: Option<(u64, Vec<u8>)>,
}

impl Scan<'_> {
    fn piece(&mut self, piece: &Piece<'_>) -> ControlFlow<()> {
        let read = match piece {
            Piece::Open(entries) => {
                self.open(entries)?;
                true
            }
            Piece::Encoded(block) => {
                let has = |hash: &u64| block.hashes.binary_search(hash).is_ok();
                let any = self.filter.instance_hashes();
                let may = self.filter.may_be_in(&block.summary)
                    && self.filter.hashes().iter().all(has)
                    && (any.is_empty() || any.iter().any(has));
                if may {
                    self.block(&block.summary, &|column| block.column(column))?;
                }
                may
            }
            Piece::Sealed(segment, number) => {
                let Some(summary) = segment.blocks().get(*number) else { return ControlFlow::Continue(()) };
                let may = self.filter.may_be_in(summary) && self.is_candidate(segment, *number);
                if may {
                    self.block(summary, &|column| segment.column(summary, column))?;
                }
                may
            }
        };
        self.sink.passed(piece.offsets(), read)
    }

    fn is_candidate(&mut self, segment: &Segment, number: usize) -> bool {
        let any = self.filter.instance_hashes();
        if self.filter.hashes().is_empty() && any.is_empty() {
            return true;
        }
        let first = segment.first_offset();
        if self.candidates.as_ref().is_none_or(|(known, _)| *known != first) {
            // Filters that cannot be read rule nothing out; reading the block tells what is wrong.
            let everything = || vec![0xff; segment.blocks().len().div_ceil(8)];
            let found = segment.candidates(self.filter.hashes(), &any).unwrap_or_else(|_| everything());
            self.candidates = Some((first, found));
        }
        self.candidates.as_ref().is_some_and(|(_, found)| found[number / 8] & (1 << (number % 8)) != 0)
    }

    fn open(&mut self, entries: &[Entry]) -> ControlFlow<()> {
        let wanted = |entry: &&Entry| self.offsets.contains(&entry.offset) && self.filter.matches(entry);
        let sink = RefCell::new(&mut self.sink);
        let mut take = |entry: &Entry| sink.borrow_mut().take(entry.clone());
        match self.order {
            Order::OldestFirst => entries.iter().filter(wanted).try_for_each(&mut take),
            Order::NewestFirst => entries.iter().rev().filter(wanted).try_for_each(&mut take),
        }
    }

    fn block(&mut self, summary: &Summary, read: &crate::filter::Read<'_>) -> ControlFlow<()> {
        let found = self.filter.rows(summary, read);
        let gone = match found.and_then(|found| self.take_all(found)) {
            Ok(flow) => return flow,
            Err(error) => error,
        };
        self.sink.take(unreadable(summary, &gone))
    }

    fn take_all(&mut self, mut found: Found<'_>) -> io::Result<ControlFlow<()>> {
        let count = found.len();
        for turn in 0..count {
            let number = if self.order == Order::OldestFirst { turn } else { count - 1 - turn };
            let entry = found.entry(number)?;
            if self.offsets.contains(&entry.offset) && self.sink.take(entry).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What stands in the place of records that are damaged.
fn unreadable(summary: &Summary, error: &io::Error) -> Entry {
    let producer = Producer { name: "logsvc".to_owned(), incarnation: 0 };
    let source = Source { service: "logsvc".to_owned(), instance: "storage".to_owned(), producer, last_words: false };
    let words = format!("{} log records are damaged here and cannot be read: {error}", summary.count);
    let received = summary.first_received;
    let record = damage(u64::from(summary.count), words, received);
    Entry { offset: summary.first_offset, received, source: Arc::new(source), record }
}
