//! Write-ahead files: what [`Wal::append`] confirmed is read again at the next start, whatever happens in between.
//!
//! A folder holds `<first offset>.wal` files, of which only the newest is written, and `spare.wal`, whose space is
//! reserved already. One frame is one commit, on the disk before the next is begun. Files are freed by
//! [`Wal::release`], oldest first. A file with damage is kept where it is and read at every start, so that nothing good
//! in it depends on the moment of a crash; released, it is moved to `quarantine/` for whoever wants to look at it.
//!
//! Nothing here locks the folder: that there is one writer is seen to by whoever opens the store.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};

mod frame;
mod replay;
mod folder;
mod check;

use folder::Folder;
use frame::{FileHeader, Generation, HEADER_BYTES};
use replay::{ReadFile, Replay, name_of};

pub(crate) use check::{FileReport, check};
pub(crate) use frame::Frame;
pub(crate) use replay::Damage;

/// The size of a file: some seconds of a busy log, and read into memory at once at the start.
pub(crate) const FILE_BYTES: u64 = 32 << 20;

/// Why the files cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(
        "{file} is in format {version} of write-ahead files and this program knows {}: start a newer program",
        frame::VERSION
    )]
    NewerFormat { file: String, version: u16 },
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Why a commit was not confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// As if nothing had been tried: the next commit takes the same place. After a restart the frame may be there.
    #[error("could not write: {0}")]
    Write(io::Error),
    /// The kernel may have forgotten what it could not write. Nothing is confirmed any more until the next start.
    #[error("could not force to the disk: {0}")]
    Sync(io::Error),
}

/// The write-ahead files of one folder, for the one thread that commits.
#[derive(Debug)]
pub(crate) struct Wal {
    folder: Folder,
    /// Oldest first.
    files: Vec<WalFile>,
    /// The newest of the files; none when there is no file yet or the newest one is damaged.
    active: Option<Active>,
    next_offset: u64,
    /// Header and payload of a commit, to be written at once.
    buffer: Vec<u8>,
    /// The sync that failed.
    failed: Option<(io::ErrorKind, String)>,
}

#[derive(Debug)]
struct WalFile {
    first_offset: u64,
    bytes: u64,
    damaged: bool,
}

#[derive(Debug)]
struct Active {
    file: Box<dyn DiskFile>,
    generation: Generation,
    /// Where the next frame belongs.
    position: u64,
}

impl Wal {
    /// Replays every frame that was confirmed and not released, in order; after an unfinished `release` some of the
    /// released ones too. The last frame may be one that was never confirmed; it counts from now on.
    ///
    /// The damage in a file is answered at every start until the file is released.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        file_bytes: u64,
        visit: &mut dyn FnMut(Frame<'_>) -> io::Result<()>,
    ) -> Result<(Self, Vec<Damage>), OpenError> {
        let folder = Folder::open(disk, folder, file_bytes)?;
        let replay = Replay::read(folder.disk(), folder.path(), visit)?;
        let active = settle(&folder, &replay)?;
        let next_offset = replay.next_offset();
        let damage = replay.files.iter().flat_map(|file| file.damage.clone()).collect();
        let files = replay.files.iter().map(WalFile::of).collect();
        Ok((Self { folder, files, active, next_offset, buffer: Vec::new(), failed: None }, damage))
    }

    /// The least offset with which a frame may begin.
    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// Commits these records: on `Ok` they are on the disk. Offsets may be skipped but never go back; a commit that is
    /// out of order, empty or too large is an `InvalidInput` of `Write`.
    pub(crate) fn append(&mut self, first_offset: u64, count: u32, payload: &[u8]) -> Result<(), AppendError> {
        self.usable()?;
        let frame = Frame { first_offset, count, payload };
        self.accept(&frame).map_err(AppendError::Write)?;
        let committed = self.commit(&frame);
        self.remember_failure(committed)
    }

    /// Frees the files in which every record lies below the offset. The newest file stays, so a file is freed once the
    /// next one begins at or below it.
    pub(crate) fn release(&mut self, before_offset: u64) -> Result<(), AppendError> {
        self.usable()?;
        let released = self.retire_files(before_offset);
        self.remember_failure(released)
    }

    /// What the files and the spare one take; not what is in quarantine.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum::<u64>() + self.folder.spare_bytes()
    }

    fn usable(&self) -> Result<(), AppendError> {
        let Some((kind, message)) = &self.failed else { return Ok(()) };
        Err(AppendError::Sync(io::Error::new(*kind, format!("an earlier sync failed: {message}"))))
    }

    fn remember_failure(&mut self, result: Result<(), AppendError>) -> Result<(), AppendError> {
        if let Err(AppendError::Sync(error)) = &result {
            self.failed = Some((error.kind(), error.to_string()));
        }
        result
    }

    fn accept(&self, frame: &Frame<'_>) -> io::Result<()> {
        let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if frame.count == 0 {
            return refuse("a commit holds one record at least".to_owned());
        }
        if frame.first_offset < self.next_offset {
            return refuse(format!("offset {} is before {}, the next one", frame.first_offset, self.next_offset));
        }
        if u32::try_from(frame.payload.len()).is_err() || frame.first_offset > u64::MAX - u64::from(frame.count) {
            return refuse("a commit is less than 4 GiB and ends below the last offset".to_owned());
        }
        Ok(())
    }

    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), AppendError> {
        let size = frame.size() as u64;
        self.make_room(frame.first_offset, size)?;
        let Self { active: Some(active), buffer, .. } = self else { unreachable!("room was made in a file") };
        frame.encode(active.generation, buffer);
        active.file.write_at(buffer, active.position).map_err(AppendError::Write)?;
        active.file.sync().map_err(AppendError::Sync)?;
        active.position += size;
        self.next_offset = frame.end();
        Ok(())
    }

    fn make_room(&mut self, first_offset: u64, size: u64) -> Result<(), AppendError> {
        let (Some(active), Some(newest)) = (&self.active, self.files.last_mut()) else {
            return self.rotate(first_offset, size);
        };
        let end = active.position + size;
        if end <= newest.bytes {
            return Ok(());
        }
        if active.position > HEADER_BYTES as u64 {
            return self.rotate(first_offset, size);
        }
        // An empty file is not left behind: the next one might begin with the same offset.
        active.file.preallocate(end).map_err(AppendError::Write)?;
        newest.bytes = end;
        Ok(())
    }

    /// On an error of `Write` the file before stays the active one, for a commit that fits.
    fn rotate(&mut self, first_offset: u64, size: u64) -> Result<(), AppendError> {
        if self.files.last().is_some_and(|newest| newest.first_offset == first_offset) {
            // Its header is lost, so nothing in it is ever read, and its name is needed.
            self.folder.quarantine(&name_of(first_offset))?;
            self.files.pop();
        }
        let header = FileHeader { first_offset, follows: self.next_offset, generation: Generation::random() };
        let (file, bytes) = self.folder.begin(&header, HEADER_BYTES as u64 + size)?;
        self.files.push(WalFile { first_offset, bytes, damaged: false });
        self.active = Some(Active { file, generation: header.generation, position: HEADER_BYTES as u64 });
        // Now rather than when it is needed: the disk may be full by then.
        self.folder.keep_spare();
        Ok(())
    }

    /// In order, each step durable before the next: what a crash leaves has no hole.
    fn retire_files(&mut self, before_offset: u64) -> Result<(), AppendError> {
        while let [oldest, next, ..] = &*self.files
            && next.first_offset <= before_offset
        {
            let name = name_of(oldest.first_offset);
            if oldest.damaged { self.folder.quarantine(&name) } else { self.folder.free(&name, oldest.bytes) }?;
            self.files.remove(0);
        }
        self.folder.keep_spare();
        Ok(())
    }
}

impl WalFile {
    fn of(file: &ReadFile) -> Self {
        Self { first_offset: file.first_offset, bytes: file.bytes, damaged: !file.damage.is_empty() }
    }
}

/// The newest file, ready for the next frame; none when it is not to be written any more.
///
/// Its last frame may have been read from the page cache only, and after a failed sync the kernel holds that for
/// written. So it is written and synced once more before anything is built upon it.
fn settle(folder: &Folder, replay: &Replay) -> io::Result<Option<Active>> {
    let Some(newest) = replay.files.last() else { return Ok(None) };
    let Some(header) = newest.header else { return Ok(None) };
    let file = folder.disk().open(&folder.path().join(&newest.name))?;
    if let Some(last) = newest.last_frame {
        let end = newest.tail.min(replay.newest.len());
        file.write_at(&replay.newest[last..end], last as u64)?;
        file.sync()?;
    }
    let active = Active { file, generation: header.generation, position: newest.tail as u64 };
    Ok(Some(active).filter(|_| newest.damage.is_empty()))
}

#[cfg(test)]
mod tests;
