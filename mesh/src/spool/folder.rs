//! The folder of one process: locked while somebody lives who answers for it.
//!
//! It is made under another name, with its lock taken, and then renamed: so a folder that
//! others see is locked from the first moment, and one whose lock can be taken is an orphan.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use prost::Message as _;

use super::owner::Owner;

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";

/// A folder that this process has locked.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    owner: Owner,
    /// Held for as long as it is open.
    _lock: File,
}

impl Folder {
    /// Makes the folder of a process.
    pub(super) fn create(spool: &Path, owner: &Owner) -> io::Result<Self> {
        let name = format!("{}-{}", owner.service, owner.instance);
        let (path, making) = (spool.join(&name), spool.join(format!(".{name}")));
        fs::create_dir_all(&making)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(making.join(LOCK))?;
        lock.try_lock()?;
        fs::write(making.join(IDENTITY), owner.encode_to_vec())?;
        fs::rename(&making, &path)?;
        Ok(Self { path, owner: owner.clone(), _lock: lock })
    }

    /// Takes over a folder of a service, if nobody else has it any more.
    pub(super) fn adopt(path: &Path, service: &str) -> Option<Self> {
        // Looked at first, so that the folders of other services are never locked, not even for a moment.
        read_owner(path).filter(|owner| owner.service == service)?;
        let lock = OpenOptions::new().write(true).open(path.join(LOCK)).ok()?;
        lock.try_lock().ok()?;
        // And again: whoever had it may have removed it between the look and the lock.
        let owner = read_owner(path)?;
        Some(Self { path: path.to_owned(), owner, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Removes it with all that is in it. The identity goes first: without it nobody takes it for a whole one.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(self.path.join(IDENTITY))?;
        fs::remove_dir_all(&self.path)
    }
}

fn read_owner(path: &Path) -> Option<Owner> {
    Owner::decode(fs::read(path.join(IDENTITY)).ok()?.as_slice()).ok()
}
