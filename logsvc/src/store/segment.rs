//! A sealed segment: blocks, what they can be found by, and a footer that vouches for all of it.
//!
//! The file, with numbers in little endian:
//!
//! ```text
//! "RUNDOSEG" | version u32 | 0 u32 | columns of all blocks | Bloom filters
//! | footer, a protobuf message | footer length u32 | SHA-256 of the footer | "RUNDOEND"
//! ```
//!
//! The footer has the SHA-256 of everything before it and that of the footer of
//! the segment before: a chain in which nothing can be changed or left out unseen.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::block::{Block, Column, Summary, damaged};
use super::bloom::{self, BloomPlace};
use super::disk::{Disk, DiskFile};
use super::marks::{Marks, StoredMark};

mod check;

pub(crate) use check::{Checked, check};

/// The version that is written. All versions up to it are read.
const VERSION: u32 = 1;

const HEAD: &[u8; 8] = b"RUNDOSEG";
const END: &[u8; 8] = b"RUNDOEND";
const HEAD_BYTES: usize = 16;
const TAIL_BYTES: usize = 4 + 32 + 8;

/// What a segment knows of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Footer {
    #[prost(uint64, tag = "1")]
    pub(crate) first_offset: u64,
    /// The offset after the last record.
    #[prost(uint64, tag = "2")]
    pub(crate) end_offset: u64,
    /// SHA-256 of the footer of the segment before; empty in the first one.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) previous: Vec<u8>,
    /// SHA-256 of the file up to this footer.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) body: Vec<u8>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) blocks: Vec<Summary>,
    #[prost(message, optional, tag = "6")]
    pub(crate) bloom: Option<BloomPlace>,
    /// How far each producer is stored at the end of this segment.
    #[prost(message, repeated, tag = "7")]
    pub(crate) marks: Vec<StoredMark>,
    /// What its records took before they were encoded.
    #[prost(uint64, tag = "8")]
    pub(crate) raw_bytes: u64,
}

/// A sealed segment, open for reading.
#[derive(Debug)]
pub(crate) struct Segment {
    name: String,
    file: Box<dyn DiskFile>,
    bytes: u64,
    first_offset: u64,
    end_offset: u64,
    /// SHA-256 of the footer: what the next segment names.
    hash: Vec<u8>,
    blocks: Vec<Summary>,
    bloom: BloomPlace,
    /// Whether the filters are what was written: looked at when they are first needed.
    bloom_is_whole: OnceLock<bool>,
}

impl Segment {
    /// The name of the file of a segment that begins at an offset.
    pub(crate) fn name_of(first_offset: u64) -> String {
        format!("{first_offset:020}.seg")
    }

    /// Writes blocks that follow one another, forces them to disk, and opens what was written.
    ///
    /// After an error nothing has changed but a file that is not taken for a segment.
    pub(crate) fn write(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        blocks: &[Arc<Block>],
        previous: &[u8],
        marks: &Marks,
    ) -> io::Result<Self> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Err(damaged("no blocks")) };
        let name = Self::name_of(first.summary.first_offset);
        let draft = folder.join(format!("{name}.draft"));
        let mut footer = Footer {
            first_offset: first.summary.first_offset,
            end_offset: last.end(),
            previous: previous.to_vec(),
            marks: marks.to_messages(),
            ..Default::default()
        };
        remove_if_there(disk, &draft)?;
        let file = disk.create(&draft)?;
        write_file(file.as_ref(), blocks, &mut footer)?;
        file.sync()?;
        drop(file);
        disk.rename(&draft, &folder.join(&name))?;
        disk.sync_folder(folder)?;
        Self::open(disk, folder, &name).map(|(segment, _)| segment)
    }

    /// Opens a segment, and answers how far each producer is stored at its end.
    pub(crate) fn open(disk: &Arc<dyn Disk>, folder: &Path, name: &str) -> io::Result<(Self, Marks)> {
        let file = disk.open(&folder.join(name))?;
        let bytes = file.len()?;
        let Sealed { footer, hash, .. } = read_footer(file.as_ref(), bytes)?;
        let marks = Marks::from_messages(&footer.marks);
        let bloom = footer.bloom.ok_or_else(|| damaged("the footer has no filters"))?;
        let Footer { first_offset, end_offset, blocks, .. } = footer;
        let segment = Self {
            name: name.to_owned(),
            file,
            bytes,
            first_offset,
            end_offset,
            hash,
            blocks,
            bloom,
            bloom_is_whole: OnceLock::new(),
        };
        Ok((segment, marks))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path_in(&self, folder: &Path) -> PathBuf {
        folder.join(&self.name)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn first_offset(&self) -> u64 {
        self.first_offset
    }

    /// The offset after its last record.
    pub(crate) fn end_offset(&self) -> u64 {
        self.end_offset
    }

    pub(crate) fn hash(&self) -> &[u8] {
        &self.hash
    }

    pub(crate) fn blocks(&self) -> &[Summary] {
        &self.blocks
    }

    /// When its first and its last record were received.
    pub(crate) fn received(&self) -> (i64, i64) {
        let first = self.blocks.first().map_or(0, |block| block.first_received);
        (first, self.blocks.last().map_or(0, |block| block.last_received))
    }

    /// Reads a column of a block.
    pub(crate) fn column(&self, block: &Summary, column: Column) -> io::Result<Vec<u8>> {
        block.column(column, |bytes, position| self.file.read_at(bytes, position))
    }

    /// Which blocks may hold all of the hashes, and one of `any` unless that is empty: a bit for each block.
    pub(crate) fn candidates(&self, all: &[u64], any: &[u64]) -> io::Result<Vec<u8>> {
        let everything = vec![0xff; self.blocks.len().div_ceil(8)];
        let mut candidates = everything.clone();
        let read = |bytes: &mut [u8], position| self.file.read_at(bytes, position);
        if !self.bloom_is_whole.get_or_init(|| self.bloom.is_whole(read)) {
            return Ok(candidates);
        }
        for hash in all {
            self.bloom.narrow(*hash, &mut candidates, read)?;
        }
        if !any.is_empty() {
            let mut of_any = vec![0; candidates.len()];
            for hash in any {
                let mut of_one = everything.clone();
                self.bloom.narrow(*hash, &mut of_one, read)?;
                of_any.iter_mut().zip(of_one).for_each(|(any, one)| *any |= one);
            }
            candidates.iter_mut().zip(of_any).for_each(|(candidate, any)| *candidate &= any);
        }
        Ok(candidates)
    }
}

fn write_file(file: &dyn DiskFile, blocks: &[Arc<Block>], footer: &mut Footer) -> io::Result<()> {
    let mut output = Output { file, position: 0, hash: Sha256::new() };
    output.write(HEAD)?;
    output.write(&VERSION.to_le_bytes())?;
    output.write(&[0; 4])?;
    for block in blocks {
        let mut summary = block.summary.clone();
        summary.columns.iter_mut().for_each(|column| column.position += output.position);
        output.write(&block.bytes)?;
        footer.raw_bytes += summary.columns.iter().map(|column| u64::from(column.raw_bytes)).sum::<u64>();
        footer.blocks.push(summary);
    }
    let hashes: Vec<&[u64]> = blocks.iter().map(|block| block.hashes.as_slice()).collect();
    let (place, rows) = bloom::build(&hashes, output.position);
    output.write(&rows)?;
    footer.bloom = Some(place);
    footer.body = output.hash.clone().finalize().to_vec();

    let encoded = footer.encode_to_vec();
    output.write(&encoded)?;
    output.write(&u32::try_from(encoded.len()).map_err(|_| damaged("the footer is too large"))?.to_le_bytes())?;
    output.write(&Sha256::digest(&encoded))?;
    output.write(END)
}

/// A file that is written from its beginning to its end.
struct Output<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    hash: Sha256,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.position)?;
        self.hash.update(bytes);
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// A footer that is what was written.
struct Sealed {
    footer: Footer,
    /// Of the footer as it stands in the file.
    hash: Vec<u8>,
    /// Where it begins.
    start: u64,
}

fn read_footer(file: &dyn DiskFile, bytes: u64) -> io::Result<Sealed> {
    if bytes < (HEAD_BYTES + TAIL_BYTES) as u64 {
        return Err(damaged("the file is too short"));
    }
    let mut head = [0; HEAD_BYTES];
    file.read_at(&mut head, 0)?;
    if head[..8] != *HEAD {
        return Err(damaged("this is not a segment"));
    }
    let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if version > VERSION {
        let words = format!("the segment has version {version}; this log service reads up to {VERSION}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, words));
    }
    let mut tail = [0; TAIL_BYTES];
    file.read_at(&mut tail, bytes - TAIL_BYTES as u64)?;
    if tail[36..] != *END {
        return Err(damaged("the end of the file is missing"));
    }
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    let start = (bytes - TAIL_BYTES as u64)
        .checked_sub(u64::from(length))
        .filter(|start| *start >= HEAD_BYTES as u64)
        .ok_or_else(|| damaged("the footer is longer than the file"))?;
    let mut encoded = vec![0; length as usize];
    file.read_at(&mut encoded, start)?;
    let hash = Sha256::digest(&encoded).to_vec();
    if hash != tail[4..36] {
        return Err(damaged("the hash of the footer is wrong"));
    }
    let footer = Footer::decode(encoded.as_slice()).map_err(|_| damaged("the footer cannot be read"))?;
    Ok(Sealed { footer, hash, start })
}

fn remove_if_there(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
