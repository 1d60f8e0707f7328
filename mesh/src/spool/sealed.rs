//! A file of records that wait: one compressed chunk, which is never changed.
//!
//! `<first number>.chunk` is a head of 96 bytes and the chunk. The head says what every
//! number in it stands for, so that a damaged file becomes a gap with the exact counts.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::chunk::{Chunk, Counts};

const EXTENSION: &str = "chunk";
const MAGIC: &[u8; 8] = b"RUNDOOL1";
const HEAD_BYTES: usize = 96;

/// The fastest: these files are written while there is something else to do.
const ZSTD_LEVEL: i32 = 1;

/// More than any chunk; what asks for more memory than this is damaged.
const LONGEST: usize = 64 * 1024 * 1024;

/// One file of a folder.
#[derive(Debug)]
pub(super) struct Sealed {
    path: PathBuf,
    first: u64,
    /// Unknown when the head is damaged.
    known: Option<Known>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    last: u64,
    counts: Counts,
    length: usize,
    sum: u32,
}

/// A chunk as it is in a file.
#[derive(Debug)]
pub(super) struct Packed {
    first: u64,
    known: Known,
    file: Vec<u8>,
}

impl Packed {
    pub(super) fn of(chunk: &Chunk) -> io::Result<Self> {
        let body = zstd::bulk::compress(chunk.bytes(), ZSTD_LEVEL)?;
        let known = Known {
            last: chunk.last(),
            counts: *chunk.counts(),
            length: chunk.bytes().len(),
            sum: crc32c::crc32c(&body),
        };
        let mut file = Vec::with_capacity(HEAD_BYTES + body.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&chunk.first().to_le_bytes());
        file.extend_from_slice(&known.last.to_le_bytes());
        file.extend_from_slice(&known.counts.to_bytes());
        file.extend_from_slice(&(known.length as u64).to_le_bytes());
        file.extend_from_slice(&known.sum.to_le_bytes());
        let sum = crc32c::crc32c(&file);
        file.extend_from_slice(&sum.to_le_bytes());
        file.extend_from_slice(&body);
        Ok(Self { first: chunk.first(), known, file })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.len() as u64
    }

    /// Writes the file: under another name first, so that nobody meets half of it.
    pub(super) fn write(self, folder: &Path) -> io::Result<Sealed> {
        let path = folder.join(format!("{:020}.{EXTENSION}", self.first));
        let half = path.with_extension("half");
        if let Err(error) = fs::write(&half, &self.file).and_then(|()| fs::rename(&half, &path)) {
            let _nothing_there = fs::remove_file(&half);
            return Err(error);
        }
        Ok(Sealed { path, first: self.first, bytes: self.bytes(), known: Some(self.known) })
    }
}

impl Sealed {
    /// The files of a folder, in order.
    pub(super) fn all(folder: &Path) -> io::Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let (Some(first), true) = (number, path.extension().is_some_and(|extension| extension == EXTENSION)) {
                let known = read_head(&path, first);
                all.push(Self { bytes: entry.metadata().map_or(0, |file| file.len()), path, first, known });
            }
        }
        all.sort_by_key(|sealed| sealed.first);
        Ok(all)
    }

    /// The last number in it, if its head is whole.
    pub(super) fn last(&self) -> Option<u64> {
        self.known.map(|known| known.last)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What every number in it stands for; nothing is known of a damaged head.
    pub(super) fn numbers(&self) -> u64 {
        self.known.map_or(0, |known| known.counts.total())
    }

    /// Reads it. What is damaged becomes a gap; with a damaged head it is not known how large a one.
    pub(super) fn read(&self) -> Option<Chunk> {
        let known = self.known?;
        let file = fs::read(&self.path).unwrap_or_default();
        let whole = file
            .get(HEAD_BYTES..)
            .filter(|body| crc32c::crc32c(body) == known.sum)
            .and_then(|body| zstd::bulk::decompress(body, known.length.min(LONGEST)).ok())
            .and_then(|bytes| Chunk::read(Bytes::from(bytes)))
            .filter(|chunk| (chunk.first(), chunk.last()) == (self.first, known.last));
        Some(whole.unwrap_or_else(|| Chunk::gap(self.first, &known.counts)))
    }

    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

fn read_head(path: &Path, first: u64) -> Option<Known> {
    let mut head = [0; HEAD_BYTES];
    fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    let long = |place: usize| head[place..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let short = |place: usize| head[place..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let counts = Counts::from_bytes(head[24..].first_chunk()?);
    let known = Known { last: long(16), counts, length: usize::try_from(long(80)).ok()?, sum: short(88) };
    let is_whole = head.starts_with(MAGIC) && crc32c::crc32c(&head[..92]) == short(92) && long(8) == first;
    is_whole.then_some(known)
}
