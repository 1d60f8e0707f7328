//! What is on the simulated disk, what a program sees of it, and the way from the one to the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::above;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// What the page cache writes at once: a sync that succeeds carries the whole page.
const PAGE: u64 = 4096;

#[derive(Debug, Default, Clone)]
pub(super) struct Image {
    folders: BTreeSet<PathBuf>,
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    /// The names as a program sees them.
    names: BTreeMap<PathBuf, u64>,
    /// The names that a power loss leaves for sure.
    durable_names: BTreeMap<PathBuf, u64>,
    /// The changes from the durable names to those seen, in order.
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Default, Clone)]
struct Node {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Debug, Clone)]
enum Unsynced {
    Write { position: u64, bytes: Vec<u8> },
    Length(u64),
}

/// Names.
impl Image {
    pub(super) fn create_folder(&mut self, folder: &Path) {
        self.folders.extend(folder.ancestors().map(Path::to_owned));
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.holds(folder)?;
        let inside = self.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    pub(super) fn find(&self, path: &Path) -> Option<u64> {
        self.names.get(path).copied()
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.holds(above(path))?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.next_node += 1;
        self.nodes.insert(self.next_node, Node::default());
        self.change(Change::Create(path.to_owned(), self.next_node));
        Ok(self.next_node)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.holds(above(to))?;
        self.find(from).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    /// The journal keeps the order: the last change in this folder carries all before it.
    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let last = self.changes.iter().rposition(|change| above(change.place()) == folder);
        for change in self.changes.drain(..last.map_or(0, |last| last + 1)) {
            change.apply(&mut self.durable_names);
        }
    }

    fn holds(&self, folder: &Path) -> io::Result<()> {
        if self.folders.contains(folder) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Change {
    /// Where the change is seen; a move between folders counts as one of the folder it ends in.
    fn place(&self) -> &Path {
        match self {
            Self::Create(path, _) | Self::Rename(_, path) | Self::Remove(path) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

/// Contents.
impl Image {
    pub(super) fn content(&self, node: u64) -> &[u8] {
        self.nodes.get(&node).map_or(&[], |node| &node.cached)
    }

    pub(super) fn used(&self) -> u64 {
        self.names.values().map(|node| self.content(*node).len() as u64).sum()
    }

    /// What [`used`](Self::used) counts of this file: nothing, once its name is removed.
    pub(super) fn counted(&self, node: u64) -> u64 {
        if self.names.values().any(|named| *named == node) { self.content(node).len() as u64 } else { 0 }
    }

    pub(super) fn write(&mut self, node: u64, bytes: &[u8], position: u64) {
        let Some(node) = self.nodes.get_mut(&node).filter(|_| !bytes.is_empty()) else { return };
        overwrite(&mut node.cached, bytes, position);
        node.unsynced.push(Unsynced::Write { position, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, node: u64, bytes: u64) {
        let Some(node) = self.nodes.get_mut(&node) else { return };
        if node.cached.len() as u64 != bytes {
            node.cached.resize(bytes as usize, 0);
            node.unsynced.push(Unsynced::Length(bytes));
        }
    }

    pub(super) fn sync(&mut self, node: u64) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.sync();
        }
    }

    /// What reaches the disk is decided now; what does not is read as before and never written.
    pub(super) fn fail_sync(&mut self, node: u64, rng: &mut fastrand::Rng) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.settle(rng);
        }
    }

    pub(super) fn flip(&mut self, node: u64, position: u64, bits: u8) {
        let node = self.nodes.get_mut(&node).expect("a file that exists");
        node.cached[position as usize] ^= bits;
        if let Some(byte) = node.durable.get_mut(position as usize) {
            *byte ^= bits;
        }
    }

    pub(super) fn lose_power(&mut self, rng: &mut fastrand::Rng) {
        let kept = rng.usize(0..=self.changes.len());
        for change in self.changes.drain(..).take(kept) {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.nodes.retain(|node, _| named.contains(node));
        for node in self.nodes.values_mut() {
            node.settle(rng);
            node.cached.clone_from(&node.durable);
        }
    }
}

impl Node {
    fn sync(&mut self) {
        for unsynced in std::mem::take(&mut self.unsynced) {
            match unsynced {
                Unsynced::Length(length) => self.durable.resize(length as usize, 0),
                Unsynced::Write { position, bytes } => self.carry_pages(position, bytes.len() as u64),
            }
        }
    }

    fn carry_pages(&mut self, position: u64, length: u64) {
        let start = position / PAGE * PAGE;
        let end = ((position + length).next_multiple_of(PAGE)).min(self.cached.len() as u64);
        if start < end {
            overwrite(&mut self.durable, &self.cached[start as usize..end as usize], start);
        }
    }

    /// Of what was not synced, each piece reaches the disk whole, in part or not at all.
    fn settle(&mut self, rng: &mut fastrand::Rng) {
        for unsynced in std::mem::take(&mut self.unsynced) {
            match (unsynced, rng.u8(0..3)) {
                (_, 0) => {}
                (Unsynced::Length(length), _) => self.durable.resize(length as usize, 0),
                (Unsynced::Write { position, bytes }, 1) => overwrite(&mut self.durable, &bytes, position),
                (Unsynced::Write { position, bytes }, _) => self.tear(&bytes, position, rng),
            }
        }
    }

    fn tear(&mut self, bytes: &[u8], position: u64, rng: &mut fastrand::Rng) {
        let end = position + bytes.len() as u64;
        let mut start = position;
        while start < end {
            let sector_end = ((start / SECTOR + 1) * SECTOR).min(end);
            if rng.bool() {
                overwrite(
                    &mut self.durable,
                    &bytes[(start - position) as usize..(sector_end - position) as usize],
                    start,
                );
            }
            start = sector_end;
        }
    }
}

fn overwrite(content: &mut Vec<u8>, bytes: &[u8], position: u64) {
    let (start, end) = (position as usize, position as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}
