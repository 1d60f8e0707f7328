//! A file that is not whole yet: gone unless it is kept.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use crate::store::backup::{BackupError, beside};

/// A file beside the one that it is to become. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    is_kept: bool,
}

/// SQLite may only be about to open it, on a thread of its own that nobody waits for.
const LATE: Duration = Duration::from_millis(100);

impl Partial {
    /// A name that nobody else has.
    pub(super) fn beside(path: &Path) -> Self {
        Self { path: beside(path, &format!(".{}.partial", Uuid::new_v4().simple())), is_kept: false }
    }

    /// Where it is until then.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, if nothing has that, once all of it is on disk.
    pub(super) fn keep_as(mut self, path: &Path) -> Result<(), BackupError> {
        let failed = |what| move |cause| BackupError::File { what, path: path.display().to_string(), cause };
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(failed("sync"))?;
        // A rename would replace what got the name meanwhile; a link fails then.
        match std::fs::hard_link(&self.path, path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists { path: path.display().to_string() });
            }
            // Some file systems have no links.
            Err(_) => std::fs::rename(&self.path, path).map_err(failed("name"))?,
        }
        self.is_kept = true;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder of"))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
        if !self.is_kept {
            std::thread::sleep(LATE);
            self.remove();
        }
    }
}

impl Partial {
    fn remove(&self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            let _gone = std::fs::remove_file(beside(&self.path, end));
        }
    }
}
