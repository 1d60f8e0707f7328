//! A disk in memory that loses power, is full, fails and rots on demand; for tests.
//!
//! The model is Linux over a journalling file system. What a program reads is the page cache; a power loss leaves what
//! was synced and, of each later write, all, nothing or any of its sectors, whatever became of the writes before it.
//! Names change in order: a power loss keeps a prefix of the changes that no `sync_folder` confirmed. A process that
//! is killed loses nothing, but what it had not synced is still not on the disk. A failed sync leaves the pages clean:
//! they are read as before, some never reach the disk, and no later sync will say so.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Lock, above, in_use, naming};

mod image;

use image::Image;

/// What can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Open,
    Rename,
    Remove,
    SyncFolder,
    Preallocate,
    Write,
    Read,
    SetLen,
    Sync,
}

/// The disk. Cheap to clone; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    image: Image,
    rng: fastrand::Rng,
    faults: Vec<Fault>,
    capacity: u64,
    locks: BTreeSet<PathBuf>,
    /// How many operations are left before nothing happens any more; below zero, how many came after that.
    left: Option<i64>,
    /// Set by a crash: whoever still holds this disk must not reach the image that came after.
    gone: bool,
}

#[derive(Debug)]
struct Fault {
    operation: Operation,
    /// How many such operations succeed before.
    remaining: u64,
    kind: io::ErrorKind,
}

impl SimulatedDisk {
    /// An empty disk without bounds; the seed decides what crashes and failures keep.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(Image::default(), fastrand::Rng::with_seed(seed), u64::MAX)
    }

    fn of(image: Image, rng: fastrand::Rng, capacity: u64) -> Self {
        let state = State { image, rng, faults: Vec::new(), capacity, locks: BTreeSet::new(), left: None, gone: false };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The power fails: the disk as the next start finds it. This one answers errors from now on.
    pub(crate) fn crash(&self, rng: &mut fastrand::Rng) -> Self {
        self.succeed(rng.fork(), |image| image.lose_power(rng))
    }

    /// The process is killed: everything that was written is read at the next start, but what was not synced can still
    /// be lost by a later [`crash`](Self::crash). This disk answers errors from now on.
    pub(crate) fn kill(&self) -> Self {
        let rng = self.lock_state().rng.fork();
        self.succeed(rng, |_| {})
    }

    /// Another disk with the same on it.
    pub(crate) fn copy(&self) -> Self {
        let mut state = self.lock_state();
        let rng = state.rng.fork();
        Self::of(state.image.clone(), rng, state.capacity)
    }

    fn succeed(&self, rng: fastrand::Rng, change: impl FnOnce(&mut Image)) -> Self {
        let mut state = self.lock_state();
        state.gone = true;
        let mut image = std::mem::take(&mut state.image);
        change(&mut image);
        Self::of(image, rng, state.capacity)
    }

    /// Whether the operations of [`stop_after`](Self::stop_after) are used up.
    pub(crate) fn has_stopped(&self) -> bool {
        self.lock_state().left.is_some_and(|left| left < 0)
    }

    /// The `nth` such operation from now (1 is the next) fails with this error, once. A write may be written in part
    /// before, and a preallocation be made in part.
    pub(crate) fn fail(&self, operation: Operation, nth: u64, kind: io::ErrorKind) {
        self.lock_state().faults.push(Fault { operation, remaining: nth.saturating_sub(1), kind });
    }

    /// After this many operations of any kind nothing happens any more: each one fails, the first of them perhaps halfway.
    /// A [`crash`](Self::crash) or [`kill`](Self::kill) after it is one in the middle of what was going on.
    pub(crate) fn stop_after(&self, operations: u64) {
        self.lock_state().left = Some(operations as i64);
    }

    /// Forgets the failures that have not happened yet.
    pub(crate) fn heal(&self) {
        self.lock_state().faults.clear();
    }

    /// The sum of the lengths of all files that fits; more answers `StorageFull`. Holes in a file count as written.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.lock_state().capacity = bytes;
    }

    /// The sum of the lengths of all files.
    pub(crate) fn used(&self) -> u64 {
        self.lock_state().image.used()
    }

    /// The content of a file as a program reads it; `None` when there is no such file.
    pub(crate) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock_state();
        state.image.find(path).map(|node| state.image.content(node).to_vec())
    }

    /// Rot: flips these bits of the byte at this place, in the page cache and on the disk.
    ///
    /// # Panics
    /// When there is no such byte.
    pub(crate) fn flip(&self, path: &Path, position: u64, bits: u8) {
        let mut state = self.lock_state();
        let node = state.image.find(path).expect("a file to flip a byte of");
        state.image.flip(node, position, bits);
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless this operation is to fail.
    fn attempt(&self, operation: Operation) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock_state();
        state.attempt(operation)?;
        Ok(state)
    }

    fn file(&self, node: u64) -> Box<dyn DiskFile> {
        Box::new(SimulatedFile { disk: self.clone(), node })
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.gone { Err(io::Error::other("this disk is gone: its machine crashed")) } else { Ok(()) }
    }

    /// Whether not even a part of the operation at hand is done.
    fn stopped(&self) -> bool {
        self.left.is_some_and(|left| left < -1)
    }

    fn attempt(&mut self, operation: Operation) -> io::Result<()> {
        self.alive()?;
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left < 0 {
                return Err(io::Error::other("this disk has stopped"));
            }
        }
        let mut failure = None;
        for fault in self.faults.iter_mut().filter(|fault| fault.operation == operation) {
            if fault.remaining == 0 && failure.is_none() {
                failure = Some(fault.kind);
            }
            fault.remaining = fault.remaining.checked_sub(1).unwrap_or(u64::MAX);
        }
        self.faults.retain(|fault| fault.remaining != u64::MAX);
        failure.map_or(Ok(()), |kind| Err(io::Error::new(kind, format!("{operation:?} was told to fail"))))
    }

    /// How long this file may become.
    fn longest(&self, node: u64) -> u64 {
        let others = self.image.used() - self.image.counted(node);
        self.capacity.saturating_sub(others)
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.alive()?;
        state.image.create_folder(folder);
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.lock_state();
        state.alive()?;
        state.image.list(folder).map_err(naming(folder))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.attempt(Operation::Create)?.image.create(path).map_err(naming(path))?;
        Ok(self.file(node))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.attempt(Operation::Open)?.image.find(path);
        let node = node.ok_or(io::ErrorKind::NotFound.into()).map_err(naming(path))?;
        Ok(self.file(node))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.attempt(Operation::Rename)?.image.rename(from, to).map_err(naming(from))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.attempt(Operation::Remove)?.image.remove(path).map_err(naming(path))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.attempt(Operation::SyncFolder)?.image.sync_folder(folder);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let mut state = self.lock_state();
        state.alive()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(in_use(path));
        }
        Ok(Box::new(SimulatedLock { disk: self.clone(), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.lock_state().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    node: u64,
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.lock_state();
        state.alive()?;
        Ok(state.image.content(self.node).len() as u64)
    }

    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        let fault = state.attempt(Operation::Preallocate);
        state.alive()?;
        let longest = state.longest(self.node);
        let length = state.image.content(self.node).len() as u64;
        if fault.is_err() && state.stopped() {
            return fault;
        }
        if fault.is_ok() && bytes <= longest {
            state.image.set_len(self.node, bytes.max(length));
            return Ok(());
        }
        let partly = state.rng.u64(length..=bytes.max(length)).min(longest);
        if partly > length && state.rng.bool() {
            state.image.set_len(self.node, partly);
        }
        fault.and(Err(io::ErrorKind::StorageFull.into()))
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        let fault = state.attempt(Operation::Write);
        state.alive()?;
        let end = position + bytes.len() as u64;
        let length = state.image.content(self.node).len() as u64;
        if fault.is_err() && state.stopped() {
            return fault;
        }
        if fault.is_ok() && end <= state.longest(self.node).max(length) {
            state.image.write(self.node, bytes, position);
            return Ok(());
        }
        let fits = state.longest(self.node).max(length).min(end).saturating_sub(position);
        let written = state.rng.usize(0..=fits as usize);
        state.image.write(self.node, &bytes[..written], position);
        fault.and(Err(io::ErrorKind::StorageFull.into()))
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let state = self.disk.attempt(Operation::Read)?;
        let content = state.image.content(self.node).get(position as usize..).unwrap_or_default();
        let read = content.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(read);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.attempt(Operation::SetLen)?;
        if bytes > state.longest(self.node) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.image.set_len(self.node, bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        let fault = state.attempt(Operation::Sync);
        state.alive()?;
        if fault.is_err() && state.stopped() {
            return fault;
        }
        if fault.is_err() {
            let State { image, rng, .. } = &mut *state;
            image.fail_sync(self.node, rng);
            return fault;
        }
        state.image.sync(self.node);
        Ok(())
    }
}

mod tests;
