//! The write-ahead files keep what they confirmed.

use super::super::disk::RealDisk;
use super::super::disk::simulated::{Operation, SimulatedDisk};
use super::*;

mod format;
mod crashes;
mod rot;

const FOLDER: &str = "wal";

/// A frame that outlives the replay.
#[derive(Clone, PartialEq, Eq)]
struct Commit {
    first_offset: u64,
    count: u32,
    payload: Vec<u8>,
}

impl Commit {
    fn random(first_offset: u64, longest: usize, rng: &mut fastrand::Rng) -> Self {
        let mut payload = vec![0; rng.usize(0..=longest)];
        rng.fill(&mut payload);
        Self { first_offset, count: rng.u32(1..50), payload }
    }

    fn end(&self) -> u64 {
        self.first_offset + u64::from(self.count)
    }

    fn append_to(&self, wal: &mut Wal) -> Result<(), AppendError> {
        wal.append(self.first_offset, self.count, &self.payload)
    }
}

/// A failed comparison is to be read by a person.
impl std::fmt::Debug for Commit {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}..{} ({} bytes)", self.first_offset, self.end(), self.payload.len())
    }
}

/// The files, their damage and everything they replay.
fn open_at(disk: Arc<dyn Disk>, folder: &Path, file_bytes: u64) -> Result<(Wal, Vec<Damage>, Vec<Commit>), OpenError> {
    let mut commits = Vec::new();
    let (wal, damage) = Wal::open(disk, folder, file_bytes, &mut |frame| {
        let Frame { first_offset, count, payload } = frame;
        commits.push(Commit { first_offset, count, payload: payload.to_vec() });
        Ok(())
    })?;
    Ok((wal, damage, commits))
}

fn open(disk: &SimulatedDisk, file_bytes: u64) -> Result<(Wal, Vec<Damage>, Vec<Commit>), OpenError> {
    open_at(Arc::new(disk.clone()), Path::new(FOLDER), file_bytes)
}

fn path_of(name: &str) -> std::path::PathBuf {
    Path::new(FOLDER).join(name)
}
