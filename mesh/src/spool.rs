//! Where records wait on disk while the log service is away, and what a crash leaves behind.
//!
//! Each process has a folder: `open` has what was said lately, `<first number>.chunk`
//! files what could not be shipped. The order is: files, then `open`, then the outbox.
//! It is bounded; and whatever goes wrong here costs records at most, never the process.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

mod folder;
mod journal;
mod owner;
mod sealed;
#[cfg(test)]
mod tests;

use folder::Folder;
use journal::Journal;
pub(crate) use owner::Owner;
use sealed::{Packed, Sealed};

use crate::chunk::Chunk;

/// The spool of one process: of this one, or of one that is gone.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: Folder,
    journal: Journal,
    sealed: VecDeque<Sealed>,
    sealed_bytes: u64,
    /// How much of what was written through could not be read.
    unreadable: u64,
}

impl Spool {
    /// Makes the spool of this process.
    pub(crate) fn create(at: &Path, owner: &Owner) -> io::Result<Self> {
        Self::open(Folder::create(at, owner)?)
    }

    /// Takes over what processes of a service left behind.
    pub(crate) fn adopt(at: &Path, service: &str) -> Vec<Self> {
        let prefix = format!("{service}-");
        let entries = std::fs::read_dir(at).into_iter().flatten().flatten();
        let candidates = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        candidates
            .filter_map(|entry| Folder::adopt(&entry.path(), service))
            // What cannot be read now may be readable for the next one who looks.
            .filter_map(|folder| Self::open(folder).ok())
            .collect()
    }

    fn open(folder: Folder) -> io::Result<Self> {
        let sealed = VecDeque::from(Sealed::all(folder.path())?);
        let sealed_bytes = sealed.iter().map(Sealed::bytes).sum();
        Ok(Self { journal: Journal::open(folder.path())?, folder, sealed, sealed_bytes, unreadable: 0 })
    }

    pub(crate) fn owner(&self) -> &Owner {
        self.folder.owner()
    }

    /// What the waiting files weigh.
    pub(crate) fn bytes(&self) -> u64 {
        self.sealed_bytes
    }

    /// How much of what was written through could not be read.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// How many numbers wait in files.
    pub(crate) fn numbers(&self) -> u64 {
        self.sealed.iter().map(Sealed::numbers).sum()
    }

    pub(crate) fn has_files(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Writes chunks through, so that they survive the process.
    pub(crate) fn write_through(&mut self, chunks: &[Chunk]) -> io::Result<()> {
        self.journal.append(chunks)
    }

    /// Forgets what was written through: it is acknowledged, or in files.
    pub(crate) fn forget_written(&mut self) -> io::Result<()> {
        if self.journal.is_empty() { Ok(()) } else { self.journal.empty() }
    }

    /// What was written through and is not in a file yet.
    pub(crate) fn read_written(&mut self) -> io::Result<Vec<Chunk>> {
        let filed = self.sealed.iter().filter_map(Sealed::last).max().unwrap_or(0);
        let (written, unreadable) = self.journal.read()?;
        self.unreadable = unreadable;
        Ok(written.into_iter().filter_map(|chunk| chunk.after(filed)).collect())
    }

    /// Puts a chunk into a file, unless all of them would weigh more than `most` then. Answers whether it did.
    pub(crate) fn seal(&mut self, chunk: &Chunk, most: u64) -> io::Result<bool> {
        let packed = Packed::of(chunk)?;
        if self.sealed_bytes + packed.bytes() > most {
            return Ok(false);
        }
        self.sealed_bytes += packed.bytes();
        self.sealed.push_back(packed.write(self.folder.path())?);
        Ok(true)
    }

    /// Reads the first file. One of which nothing is known any more is removed, and the next one read.
    pub(crate) fn read_first(&mut self) -> Option<Chunk> {
        loop {
            match self.sealed.front()?.read() {
                Some(chunk) => return Some(chunk),
                None => self.remove_first(),
            }
        }
    }

    /// Removes the first file: it is acknowledged.
    pub(crate) fn remove_first(&mut self) {
        if let Some(first) = self.sealed.pop_front() {
            self.sealed_bytes -= first.bytes();
            // What stays is sent again by whoever adopts it, and stored once.
            let _stays = first.remove();
        }
    }

    /// Removes the files that end at this number or before it.
    pub(crate) fn remove_through(&mut self, sequence: u64) {
        while self.sealed.front().and_then(Sealed::last).is_some_and(|last| last <= sequence) {
            self.remove_first();
        }
    }

    /// Removes all of it.
    pub(crate) fn remove(self) -> io::Result<()> {
        self.folder.remove()
    }
}
