//! Reading the log for whatever matches, in either direction: under queries, tails and hand-overs alike.

use std::io;
use std::ops::{ControlFlow, Range};

use crate::entry::Entry;
use crate::filter::{Filter, Read};
use crate::store::{Piece, Segment, Summary, View};

/// In which order records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    OldestFirst,
    NewestFirst,
}

/// Who a scan is for.
pub(crate) trait Sink {
    /// How many more records it takes at most.
    fn wanted(&self) -> usize;

    /// Takes a record that matches.
    fn take(&mut self, entry: Entry) -> ControlFlow<()>;

    /// Is told after each piece which offsets it held, and whether it had to be read.
    fn passed(&mut self, piece: Range<u64>, read: bool) -> ControlFlow<()>;
}

/// Pieces that are read one after the other before two are read at a time: most scans end there.
const ALONE: usize = 3;

/// Pieces that are ruled out before the sink hears of them: it looks at the clock when it does.
const UNTOLD: usize = 64;

/// Gives a sink what matches within some offsets, in order. Breaks when the sink had enough.
///
/// What cannot be read is a gap record in its place. A long scan uses a second thread.
pub(crate) fn scan(
    view: &View,
    offsets: &Range<u64>,
    order: Order,
    filter: &Filter,
    sink: &mut dyn Sink,
) -> ControlFlow<()> {
    let mut scan =
        Scan { asked: Asked { offsets, order, filter }, sink, read: 0, waiting: Vec::new(), candidates: None };
    let mut pieces = view.pieces(offsets).into_iter();
    match order {
        Order::OldestFirst => pieces.try_for_each(|piece| scan.piece(piece))?,
        Order::NewestFirst => pieces.rev().try_for_each(|piece| scan.piece(piece))?,
    }
    scan.deliver()
}

/// What is looked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    offsets: &'a Range<u64>,
    order: Order,
    filter: &'a Filter,
}

struct Scan<'a> {
    asked: Asked<'a>,
    sink: &'a mut dyn Sink,
    /// How many pieces were read.
    read: usize,
    /// Pieces that follow one another, and whether they have to be read.
    waiting: Vec<(Piece<'a>, bool)>,
    /// Which blocks of the segment that is being read may match, by its first offset.
    candidates: Option<(u64, Vec<u8>)>,
}

impl<'a> Scan<'a> {
    fn piece(&mut self, piece: Piece<'a>) -> ControlFlow<()> {
        let may_match = self.may_match(&piece);
        self.waiting.push((piece, may_match));
        let at_a_time = if self.read < ALONE { 1 } else { 2 };
        let to_read = self.waiting.iter().filter(|(_, may_match)| *may_match).count();
        if to_read >= at_a_time || self.waiting.len() >= UNTOLD { self.deliver() } else { ControlFlow::Continue(()) }
    }

    /// Whether a piece has to be read.
    fn may_match(&mut self, piece: &Piece<'_>) -> bool {
        let filter = self.asked.filter;
        match piece {
            Piece::Open(_) | Piece::Missing(..) => true,
            Piece::Encoded(block) => {
                let has = |hash: &u64| block.hashes.binary_search(hash).is_ok();
                let any = filter.instance_hashes();
                filter.may_be_in(&block.summary)
                    && filter.hashes().iter().all(has)
                    && (any.is_empty() || any.iter().any(has))
            }
            Piece::Sealed(segment, number) => {
                let summary = segment.blocks().get(*number);
                summary.is_some_and(|summary| filter.may_be_in(summary)) && self.is_candidate(segment, *number)
            }
        }
    }

    fn is_candidate(&mut self, segment: &Segment, number: usize) -> bool {
        let (hashes, any) = (self.asked.filter.hashes(), self.asked.filter.instance_hashes());
        if hashes.is_empty() && any.is_empty() {
            return true;
        }
        let first = segment.first_offset();
        if self.candidates.as_ref().is_none_or(|(known, _)| *known != first) {
            // Filters that cannot be read rule nothing out; reading the block tells what is wrong.
            let everything = || vec![0xff; segment.blocks().len().div_ceil(8)];
            let found = segment.candidates(hashes, &any).unwrap_or_else(|_| everything());
            self.candidates = Some((first, found));
        }
        self.candidates.as_ref().is_some_and(|(_, found)| found[number / 8] & (1 << (number % 8)) != 0)
    }

    /// Reads what waits, and hands it over in order.
    fn deliver(&mut self) -> ControlFlow<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let to_read: Vec<&Piece<'_>> =
            waiting.iter().filter(|(_, may_match)| *may_match).map(|(piece, _)| piece).collect();
        self.read += to_read.len();
        let mut found = self.asked.read_all(&to_read, self.sink.wanted()).into_iter();
        for (piece, was_read) in &waiting {
            if *was_read {
                found.next().unwrap_or_default().into_iter().try_for_each(|entry| self.sink.take(entry))?;
            }
            self.sink.passed(piece.offsets(), *was_read)?;
        }
        ControlFlow::Continue(())
    }
}

impl Asked<'_> {
    /// Up to `most` matches of each piece; of two, the second is read on a thread of its own.
    fn read_all(self, pieces: &[&Piece<'_>], most: usize) -> Vec<Vec<Entry>> {
        let [first, second] = pieces else { return pieces.iter().map(|piece| self.read(piece, most)).collect() };
        std::thread::scope(|scope| {
            let second = scope.spawn(|| self.read(second, most));
            let first = self.read(first, most);
            // A panic of the other thread goes on here.
            vec![first, second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))]
        })
    }

    /// Up to `most` matches of a piece, in order.
    fn read(self, piece: &Piece<'_>, most: usize) -> Vec<Entry> {
        let found = match piece {
            Piece::Open(entries) => return self.open(entries, most),
            Piece::Missing(offsets, received) => return self.lost(offsets, *received, "a file was damaged"),
            Piece::Encoded(block) => self.block(&block.summary, most, &|column| block.column(column)),
            Piece::Sealed(segment, number) => match segment.blocks().get(*number) {
                None => return Vec::new(),
                Some(summary) => self.block(summary, most, &|column| segment.column(summary, column)),
            },
        };
        found.unwrap_or_else(|error| {
            self.lost(&piece.offsets(), piece.summary().map_or(0, |summary| summary.first_received), &error.to_string())
        })
    }

    /// What stands in the place of records that cannot be read, whatever is looked for. A scan that begins
    /// among them hears of the rest.
    fn lost(self, offsets: &Range<u64>, received: i64, why: &str) -> Vec<Entry> {
        let lost = offsets.start.max(self.offsets.start)..offsets.end.min(self.offsets.end);
        let words = format!(
            "{} log records cannot be read here, offsets {} to {}: {why}",
            lost.end - lost.start,
            lost.start,
            lost.end - 1
        );
        vec![Entry::lost(lost, words, received)]
    }

    fn open(self, entries: &[Entry], most: usize) -> Vec<Entry> {
        let wanted = |entry: &&Entry| self.offsets.contains(&entry.offset) && self.filter.matches(entry);
        match self.order {
            Order::OldestFirst => entries.iter().filter(wanted).take(most).cloned().collect(),
            Order::NewestFirst => entries.iter().rev().filter(wanted).take(most).cloned().collect(),
        }
    }

    fn block(self, summary: &Summary, most: usize, read: &Read<'_>) -> io::Result<Vec<Entry>> {
        let mut found = self.filter.rows(summary, self.offsets, read)?;
        let count = found.len();
        let number = |turn| if self.order == Order::OldestFirst { turn } else { count - 1 - turn };
        (0..count.min(most)).map(|turn| found.entry(number(turn))).collect()
    }
}
