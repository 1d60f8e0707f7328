//! What one producer has said and the log service has not acknowledged yet, in order.
//!
//! First the files of its spool, then what is in memory. Nothing leaves before it is
//! acknowledged, so that any shipment can be sent again from any number.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use proto::logs::ShipHeader;

use crate::chunk::{Chunk, Counts};
use crate::outbox::{SHIPMENT_BYTES, SHIPMENT_RECORDS};
use crate::spool::{Owner, Spool};

/// The records of one producer.
#[derive(Debug)]
pub(super) struct Backlog {
    owner: Owner,
    /// Whether the producer is gone.
    last_words: bool,
    spool: Option<Spool>,
    /// Of the first file.
    loaded: VecDeque<Chunk>,
    /// What is in no file. Of a spool it is in `open`.
    fresh: VecDeque<Chunk>,
    /// So many of them, from the front, are written through.
    written: usize,
    /// What they weigh, and how many records they are.
    size: (usize, usize),
    acknowledged: u64,
}

/// What is shipped next.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) header: ShipHeader,
    pub(super) batches: Vec<Bytes>,
    pub(super) last: u64,
}

impl Backlog {
    /// That of this process.
    pub(super) fn own(owner: Owner, spool: Option<Spool>) -> Self {
        Self::new(owner, spool, VecDeque::new())
    }

    /// That of a process that is gone.
    pub(super) fn adopted(mut spool: Spool) -> io::Result<Self> {
        let (owner, written) = (spool.owner().clone(), spool.read_written()?.into());
        Ok(Self { last_words: true, ..Self::new(owner, Some(spool), written) })
    }

    fn new(owner: Owner, spool: Option<Spool>, fresh: VecDeque<Chunk>) -> Self {
        let (written, size) = (fresh.len(), size(&fresh));
        Self { owner, last_words: false, spool, loaded: VecDeque::new(), fresh, written, size, acknowledged: 0 }
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(super) fn spool(&self) -> Option<&Spool> {
        self.spool.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && !self.has_files()
    }

    pub(super) fn has_files(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::has_files)
    }

    /// What is in memory, in bytes and in records.
    pub(super) fn fresh(&self) -> (usize, usize) {
        self.size
    }

    /// The last number that is in it, or was.
    pub(super) fn last(&self) -> u64 {
        self.fresh.back().map_or(self.acknowledged, Chunk::last)
    }

    /// Whether a crash would lose nothing of it.
    pub(super) fn is_spooled(&self) -> bool {
        self.spool.is_some() && self.written == self.fresh.len()
    }

    /// How many numbers are not acknowledged.
    pub(super) fn numbers(&self) -> u64 {
        let files = self.spool.as_ref().map_or(0, Spool::numbers);
        self.fresh.iter().fold(files, |sum, chunk| sum + chunk.counts().total())
    }

    /// Adds what was said.
    pub(super) fn add(&mut self, chunks: Vec<Chunk>) {
        let (bytes, records) = chunks.iter().fold(self.size, add);
        self.size = (bytes, records);
        self.fresh.extend(chunks);
    }

    /// Writes what is in memory only into the spool, so that a crash does not lose it.
    pub(super) fn write_through(&mut self) -> io::Result<()> {
        if let Some(spool) = &mut self.spool {
            let unwritten: Vec<Chunk> = self.fresh.range(self.written..).cloned().collect();
            spool.write_through(&unwritten)?;
            self.written = self.fresh.len();
        }
        Ok(())
    }

    /// Moves what is in memory into files, as far as they may weigh `most`. Answers how many bytes of memory are free now.
    pub(super) fn spill(&mut self, most: u64) -> io::Result<usize> {
        let before = self.size.0;
        let sealed = self.seal_all(most);
        self.size = size(&self.fresh);
        sealed.map(|()| before - self.size.0)
    }

    fn seal_all(&mut self, most: u64) -> io::Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        while !self.fresh.is_empty() {
            let count = leading(&self.fresh);
            let joined = Chunk::join(self.fresh.range(..count));
            if !joined.map_or(Ok(false), |chunk| spool.seal(&chunk, most))? {
                return Ok(());
            }
            self.fresh.drain(..count);
            self.written = self.written.saturating_sub(count);
        }
        spool.forget_written()
    }

    /// The next shipment, of so many records at most; only a header when there is nothing.
    pub(super) fn next(&mut self, most: usize) -> Shipment {
        self.load();
        let waiting = if self.loaded.is_empty() { &self.fresh } else { &self.loaded };
        let (mut batches, mut records, mut last) = (Vec::new(), 0, self.acknowledged);
        for chunk in waiting.range(..leading(waiting)) {
            let chunk = chunk.head(most - records);
            records += chunk.records();
            last = chunk.last();
            batches.push(chunk.bytes().clone());
            if records >= most {
                break;
            }
        }
        let first = waiting.front().map_or(self.acknowledged + 1, Chunk::first);
        Shipment { header: self.header(first), batches, last }
    }

    /// Reads the first file, as far as it is not acknowledged.
    fn load(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        while self.loaded.is_empty()
            && let Some(chunk) = spool.read_first()
        {
            match chunk.after(self.acknowledged) {
                Some(rest) => self.loaded.push_back(rest),
                None => spool.remove_first(),
            }
        }
    }

    /// Only a header: says that the producer lives.
    pub(super) fn greeting(&self) -> Shipment {
        Shipment { header: self.header(self.acknowledged + 1), batches: Vec::new(), last: self.acknowledged }
    }

    fn header(&self, first_sequence: u64) -> ShipHeader {
        ShipHeader {
            producer: self.owner.producer.clone(),
            incarnation: self.owner.incarnation,
            first_sequence,
            service: self.owner.service.clone(),
            instance_id: self.owner.instance.clone(),
            last_words: self.last_words,
            sent: Some(crate::timestamp(jiff::Timestamp::now())),
        }
    }

    /// Forgets everything up to a number. Answers how many bytes of memory are free now.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> io::Result<usize> {
        self.acknowledged = self.acknowledged.max(sequence);
        let (before, chunks) = (self.size.0, self.fresh.len());
        if !self.loaded.is_empty() {
            trim(&mut self.loaded, sequence);
            if let (true, Some(spool)) = (self.loaded.is_empty(), &mut self.spool) {
                spool.remove_first();
            }
        }
        trim(&mut self.fresh, sequence);
        self.written = self.written.saturating_sub(chunks - self.fresh.len());
        self.size = size(&self.fresh);
        if let Some(spool) = &mut self.spool {
            if self.loaded.is_empty() {
                spool.remove_through(sequence);
            }
            if self.fresh.is_empty() {
                spool.forget_written()?;
            }
        }
        Ok(before - self.size.0)
    }

    /// Goes on from the number that the log service expects; what is gone is declared.
    ///
    /// Answers how many bytes of memory are free now.
    pub(super) fn rewind(&mut self, expected: u64) -> io::Result<usize> {
        let expected = expected.max(1);
        let in_memory = self.loaded.is_empty();
        let waiting = if in_memory { &mut self.fresh } else { &mut self.loaded };
        let next = waiting.iter().position(|chunk| chunk.first() > expected);
        let is_hole = |place: usize| place.checked_sub(1).is_none_or(|before| waiting[before].last() < expected);
        if let Some(place) = next.filter(|place| is_hole(*place)) {
            // It was acknowledged and is gone there, or it was damaged on our disk.
            let gone = Counts::unknown(waiting[place].first() - expected);
            let gap = Chunk::gap(expected, &gone);
            if in_memory {
                // It need not be written through: after a crash it would be found again.
                self.written += usize::from(place <= self.written);
                self.size = add(self.size, &gap);
            }
            waiting.insert(place, gap);
            return Ok(0);
        }
        self.acknowledge(expected - 1)
    }

    /// Removes the folder, of which nothing is needed any more.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.spool.take().map_or(Ok(()), Spool::remove)
    }
}

fn add((bytes, records): (usize, usize), chunk: &Chunk) -> (usize, usize) {
    (bytes + chunk.bytes().len(), records + chunk.records())
}

fn size(chunks: &VecDeque<Chunk>) -> (usize, usize) {
    chunks.iter().fold((0, 0), add)
}

/// How many chunks at the front make one shipment: at least one of some.
fn leading(chunks: &VecDeque<Chunk>) -> usize {
    let (mut bytes, mut records) = (0, 0);
    let fits = |chunk: &&Chunk| {
        let is_first = records == 0;
        bytes += chunk.bytes().len();
        records += chunk.records();
        is_first || (bytes <= SHIPMENT_BYTES && records <= SHIPMENT_RECORDS)
    };
    chunks.iter().take_while(fits).count()
}

fn trim(chunks: &mut VecDeque<Chunk>, sequence: u64) {
    while chunks.front().is_some_and(|chunk| chunk.first() <= sequence) {
        let rest = chunks.pop_front().and_then(|chunk| chunk.after(sequence));
        if let Some(rest) = rest {
            chunks.push_front(rest);
            return;
        }
    }
}
