//! Reading the files of a folder in order, and telling a torn tail from damage.
//!
//! A frame is written after the one before it is synced. So a whole frame behind broken bytes proves that what is
//! broken was acknowledged once: that is damage. Broken bytes with nothing behind them in the newest file are a commit
//! that was never finished: nobody was told of it. In an older file they are the same, unless the next file says that
//! more was there when it was begun.
//!
//! The next file's first offset is also where an older one ends: a frame beyond it was never acknowledged, for its
//! write failed and the records went into the next file instead.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

use super::super::disk::Disk;
use super::OpenError;
use super::frame::{FileHeader, Frame, HEADER_BYTES, HeaderError};

/// Records that were acknowledged and cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Damage {
    /// The name of the file that held them.
    pub(crate) file: String,
    /// The first one that is lost.
    pub(crate) from_offset: u64,
    /// The first one that is there again; nobody knows it when the newest file has no readable header.
    pub(crate) to_offset: Option<u64>,
}

/// What is called with every frame, in order; its error ends the replay.
pub(super) type Visit<'a> = dyn FnMut(Frame<'_>) -> io::Result<()> + 'a;

/// A file that was read.
#[derive(Debug)]
pub(super) struct ReadFile {
    pub(super) name: String,
    pub(super) first_offset: u64,
    pub(super) bytes: u64,
    pub(super) header: Option<FileHeader>,
    pub(super) header_is_whole: bool,
    pub(super) frames: u64,
    /// The offset after the last record that the files up to this one held.
    pub(super) end_offset: u64,
    /// Where the last frame begins, when there is one.
    pub(super) last_frame: Option<usize>,
    /// Where the frames end and the next one belongs.
    pub(super) tail: usize,
    pub(super) damage: Vec<Damage>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Oldest first.
    pub(super) files: Vec<ReadFile>,
    /// The content of the newest file.
    pub(super) newest: Vec<u8>,
    /// The offset after the last record, or after those known to be lost.
    next_offset: u64,
}

impl Replay {
    /// Reads every file, changing nothing.
    pub(super) fn read(disk: &dyn Disk, folder: &Path, visit: &mut Visit<'_>) -> Result<Self, OpenError> {
        let names: Vec<_> = disk.list(folder)?.into_iter().filter_map(|name| Some((offset_of(&name)?, name))).collect();
        let mut replay = Self::default();
        for (place, (first_offset, name)) in names.iter().enumerate() {
            replay.newest = read_whole(disk, &folder.join(name))?;
            let limit = names.get(place + 1).map(|(offset, _)| *offset);
            replay.read_file(name, *first_offset, limit, visit)?;
        }
        Ok(replay)
    }

    pub(super) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    fn read_file(
        &mut self,
        name: &str,
        first_offset: u64,
        limit: Option<u64>,
        visit: &mut Visit<'_>,
    ) -> Result<(), OpenError> {
        let header = match FileHeader::decode(&self.newest) {
            // A header of another file than the name says is of no use: which of the two is wrong?
            Ok(header) => Some(header).filter(|header| header.first_offset == first_offset),
            Err(HeaderError::Unreadable) => None,
            Err(HeaderError::Newer(version)) => return Err(OpenError::NewerFormat { file: name.to_owned(), version }),
        };
        self.end_last(header.map_or(first_offset, |header| header.follows));
        self.next_offset = self.next_offset.max(first_offset);
        let mut file = ReadFile::new(name, first_offset, header, &self.newest);
        match header {
            Some(header) => self.next_offset = file.walk(header, (self.next_offset, limit), &self.newest, visit)?,
            None => {
                file.lose(self.next_offset, limit);
                self.next_offset = limit.unwrap_or(self.next_offset);
            }
        }
        file.end_offset = self.next_offset;
        self.files.push(file);
        Ok(())
    }

    /// The file that was read before this one must have led up to here.
    fn end_last(&mut self, follows: u64) {
        if let Some(file) = self.files.last_mut() {
            file.lose(self.next_offset, Some(follows));
        }
    }
}

impl ReadFile {
    fn new(name: &str, first_offset: u64, header: Option<FileHeader>, content: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            first_offset,
            bytes: content.len() as u64,
            header,
            header_is_whole: FileHeader::is_whole(content),
            frames: 0,
            end_offset: first_offset,
            last_frame: None,
            tail: HEADER_BYTES,
            damage: Vec::new(),
        }
    }

    /// Visits the frames whose records lie in the range; answers the offset after the last of them.
    fn walk(
        &mut self,
        header: FileHeader,
        (mut expected, limit): (u64, Option<u64>),
        content: &[u8],
        visit: &mut Visit<'_>,
    ) -> io::Result<u64> {
        let limit = limit.unwrap_or(u64::MAX);
        loop {
            let in_order = |frame: &Frame<'_>| frame.first_offset >= expected && frame.end() <= limit;
            let Some((at, frame)) = Frame::find(content, self.tail, header.generation, in_order) else { break };
            if at > self.tail {
                self.lose(expected, Some(frame.first_offset));
            }
            visit(frame)?;
            self.frames += 1;
            self.last_frame = Some(at);
            self.tail = at + frame.size();
            expected = frame.end();
        }
        Ok(expected)
    }

    fn lose(&mut self, from_offset: u64, to_offset: Option<u64>) {
        if to_offset.is_none_or(|to_offset| from_offset < to_offset) {
            self.damage.push(Damage { file: self.name.clone(), from_offset, to_offset });
        }
    }
}

impl Display for Damage {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, from_offset, to_offset } = self;
        match to_offset {
            Some(end) => write!(to, "the records from {from_offset} up to {end} (exclusive) in {file} are lost"),
            None => write!(to, "the records from {from_offset} on in {file} are lost"),
        }
    }
}

/// The name of the file that begins with this offset.
pub(super) fn name_of(first_offset: u64) -> String {
    format!("{first_offset:020}.wal")
}

fn offset_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    let offset = digits.parse().ok()?;
    (name_of(offset) == name).then_some(offset)
}

fn read_whole(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut content = vec![0; file.len()? as usize];
    file.read_at(&mut content, 0)?;
    Ok(content)
}
