//! The file that records are in before they travel: a crash loses what was not written here yet.
//!
//! Chunks are appended as they come, by plain writes: what the kernel has survives the
//! process, and forcing it to disk is the log service's trade. A frame is a head of 32
//! bytes and the chunk; the head has a checksum of its own, so that a damaged chunk can
//! be left out and counted. What is torn at the end was never whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bytes::Bytes;

use crate::chunk::{Chunk, Counts};

pub(super) const NAME: &str = "open";

/// Length, checksum of the chunk, first and last number, nothing, checksum of the head.
const HEAD_BYTES: usize = 32;

/// The open file of a folder.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    bytes: u64,
}

impl Journal {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(folder.join(NAME))?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends chunks: all of them, or none.
    pub(super) fn append(&mut self, chunks: &[Chunk]) -> io::Result<()> {
        let mut frames = Vec::with_capacity(chunks.iter().map(|chunk| HEAD_BYTES + chunk.bytes().len()).sum());
        for chunk in chunks {
            frames.extend_from_slice(&Head::of(chunk).to_bytes());
            frames.extend_from_slice(chunk.bytes());
        }
        self.file.seek(SeekFrom::Start(self.bytes))?;
        if let Err(error) = self.file.write_all(&frames) {
            // Half a frame would hide whatever is written after it.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += frames.len() as u64;
        Ok(())
    }

    /// Forgets everything: it is acknowledged, or in another file.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.bytes = 0;
        Ok(())
    }

    /// Reads what a process left behind, and answers how many bytes are no frames: one that a kill tore, or damage.
    ///
    /// A damaged chunk becomes a gap, and so does what is missing between two that are whole.
    pub(super) fn read(&mut self) -> io::Result<(Vec<Chunk>, u64)> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        let (mut rest, mut chunks, mut unreadable) = (Bytes::from(bytes), Vec::<Chunk>::new(), 0);
        while !rest.is_empty() {
            let Some((head, body)) = next_frame(&mut rest) else {
                // What follows on damage may be whole.
                rest = rest.slice(1..);
                unreadable += 1;
                continue;
            };
            let expected = chunks.last().map_or(head.first, |chunk| chunk.last() + 1);
            if head.first > expected {
                chunks.push(missing(expected, head.first - 1));
            }
            let whole = (crc32c::crc32c(&body) == head.sum).then(|| Chunk::read(body)).flatten();
            chunks.push(whole.unwrap_or_else(|| missing(head.first, head.last)));
        }
        Ok((chunks, unreadable))
    }
}

/// A place where records are missing of which nobody knows the levels.
fn missing(first: u64, last: u64) -> Chunk {
    Chunk::gap(first, &Counts::unknown(last.saturating_sub(first).saturating_add(1)))
}

fn next_frame(rest: &mut Bytes) -> Option<(Head, Bytes)> {
    let head = Head::read(rest.first_chunk()?)?;
    let end = HEAD_BYTES.checked_add(head.length as usize)?;
    if end > rest.len() {
        return None;
    }
    let mut frame = rest.split_to(end);
    Some((head, frame.split_off(HEAD_BYTES)))
}

struct Head {
    length: u32,
    sum: u32,
    first: u64,
    last: u64,
}

impl Head {
    fn of(chunk: &Chunk) -> Self {
        // A chunk is a megabyte at most, and one record at least, which is less than one too.
        let length = chunk.bytes().len() as u32;
        Self { length, sum: crc32c::crc32c(chunk.bytes()), first: chunk.first(), last: chunk.last() }
    }

    fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.sum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.last.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let (numbers, _) = bytes.as_chunks::<4>();
        let number = |place: usize| u32::from_le_bytes(numbers[place]);
        let long = |place: usize| u64::from(number(place)) | u64::from(number(place + 1)) << 32;
        let head = Self { length: number(0), sum: number(1), first: long(2), last: long(4) };
        let is_whole = crc32c::crc32c(&bytes[..28]) == number(7) && head.first <= head.last && head.first > 0;
        is_whole.then_some(head)
    }
}
