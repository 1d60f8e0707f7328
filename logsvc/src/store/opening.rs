//! Opening a log: segments first, then whatever the write-ahead files have beyond them.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};

use prost::Message as _;

use super::block::damaged;
use super::commit::Commit;
use super::condition::Condition;
use super::disk::Disk;
use super::head::Head;
use super::marks::Marks;
use super::sealer::{Policy, Sealer};
use super::segment::Segment;
use super::wal::{Frame, Wal};
use super::writer::Writer;
use crate::entry::Entry;

/// A log whose threads do not run yet.
pub(super) struct Opened {
    pub(super) writer: Writer,
    pub(super) sealer: Sealer,
    pub(super) committed: Receiver<Vec<Arc<Vec<Entry>>>>,
    pub(super) lock: Box<dyn Send + Sync + std::fmt::Debug>,
}

/// The folder of segments in that of a log.
pub(super) fn segments_in(folder: &Path) -> PathBuf {
    folder.join("segments")
}

/// The folder of write-ahead files in that of a log.
pub(super) fn wal_in(folder: &Path) -> PathBuf {
    folder.join("wal")
}

/// Where the files of a folder are put when they are damaged.
pub(super) fn quarantine_in(folder: &Path) -> PathBuf {
    folder.join("quarantine")
}

/// Opens the log in a folder.
pub(super) fn open(
    disk: Arc<dyn Disk>,
    folder: &Path,
    policy: Policy,
    condition: Arc<Condition>,
) -> io::Result<Opened> {
    disk.create_folder(folder)?;
    let lock = disk.lock(&folder.join("lock"))?;
    let Sealed { segments, marks, put_aside } = open_segments(&disk, folder)?;
    let end = segments.last().map_or(1, |segment| segment.end_offset());
    let previous = segments.last().map(|segment| segment.hash().to_vec()).unwrap_or_default();
    let head = Arc::new(Head::new(segments, end));
    let mut sealer = Sealer {
        disk: disk.clone(),
        folder: segments_in(folder),
        head: head.clone(),
        condition: condition.clone(),
        policy: policy.clone(),
        marks: marks.clone(),
        previous,
        waiting: VecDeque::new(),
        taken: 0,
        count: 0,
        bytes: 0,
        blocks: Vec::new(),
        failing: false,
    };
    let mut replay = Replay { next_offset: end, marks, head: &head, sealer: &mut sealer };
    let mut visit = |frame: Frame<'_>| replay.frame(&frame);
    let opened = Wal::open(disk, &wal_in(folder), policy.wal_file_bytes, &mut visit);
    let (wal, damage) = opened.map_err(io::Error::other)?;
    let Replay { next_offset, marks, .. } = replay;
    // Of a file without a readable header nobody knows how much it held: no offset is given twice.
    let unknown = if damage.iter().any(|damage| damage.to_offset.is_none()) { policy.wal_file_bytes } else { 0 };
    let next_offset = next_offset.max(wal.next_offset()) + unknown;
    head.end_at(next_offset);
    condition.released.store(end, Ordering::Release);
    condition.wal_bytes.store(wal.bytes(), Ordering::Relaxed);
    condition.quarantined.store((put_aside.len() + damage.len()) as u64, Ordering::Relaxed);
    for damage in &damage {
        tracing::error!("the write-ahead file {} is damaged: {damage}", damage.file);
    }
    for name in &put_aside {
        tracing::error!("the segment {name} is damaged and was put aside: the log has a gap");
    }
    let (encoder, committed) = channel();
    let writer = Writer { wal, marks, next_offset, head, condition, encoder, frame: Vec::new(), commits: 0 };
    Ok(Opened { writer, sealer, committed, lock })
}

struct Sealed {
    segments: Vec<Arc<Segment>>,
    /// How far each producer is stored at their end.
    marks: Marks,
    /// Names of files that are damaged.
    put_aside: Vec<String>,
}

fn open_segments(disk: &Arc<dyn Disk>, folder: &Path) -> io::Result<Sealed> {
    let segments = segments_in(folder);
    disk.create_folder(&segments)?;
    disk.sync_folder(folder)?;
    let mut sealed = Sealed { segments: Vec::new(), marks: Marks::default(), put_aside: Vec::new() };
    for name in disk.list(&segments)? {
        if name.ends_with(".draft") {
            // What a crash left of a segment whose records are in the write-ahead files.
            disk.remove(&segments.join(&name))?;
        } else if name.ends_with(".seg") {
            match Segment::open(disk, &segments, &name) {
                Ok((segment, marks)) => {
                    sealed.segments.push(Arc::new(segment));
                    sealed.marks = marks;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let quarantine = quarantine_in(&segments);
                    disk.create_folder(&quarantine)?;
                    disk.rename(&segments.join(&name), &quarantine.join(&name))?;
                    disk.sync_folder(&quarantine)?;
                    sealed.put_aside.push(format!("{name} ({error})"));
                }
                Err(error) => return Err(error),
            }
        }
    }
    disk.sync_folder(&segments)?;
    Ok(sealed)
}

/// Takes what write-ahead files have beyond the segments.
struct Replay<'a> {
    next_offset: u64,
    marks: Marks,
    head: &'a Head,
    sealer: &'a mut Sealer,
}

impl Replay<'_> {
    fn frame(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        if frame.first_offset + u64::from(frame.count) <= self.next_offset {
            return Ok(());
        }
        let commit = Commit::decode(frame.payload).map_err(|_| damaged("a frame is whole and cannot be read"))?;
        for entries in commit.into_entries(frame.first_offset) {
            let known = entries.partition_point(|entry| entry.offset < self.next_offset);
            let fresh = if known == 0 { entries } else { Arc::new(entries[known..].to_vec()) };
            self.add(fresh);
        }
        Ok(())
    }

    fn add(&mut self, entries: Arc<Vec<Entry>>) {
        let Some(last) = entries.last() else { return };
        self.next_offset = last.offset + 1;
        entries.iter().for_each(|entry| self.marks.advance_by(entry));
        self.head.commit(vec![entries.clone()]);
        self.sealer.push(entries);
        // Memory is for what is not sealed; after a long time without sealing there is more than a segment.
        self.sealer.seal_when_due(i64::MIN);
    }
}
