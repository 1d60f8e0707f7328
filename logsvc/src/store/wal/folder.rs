//! The names in the folder: how a file is begun, freed, used again and put into quarantine.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::disk::{Disk, DiskFile};
use super::AppendError;
use super::frame::FileHeader;
use super::replay::name_of;

const SPARE: &str = "spare.wal";
const QUARANTINE: &str = "quarantine";

#[derive(Debug)]
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file_bytes: u64,
    /// Reserved space, so that the disk may be full when the next file is begun. What it holds is of no meaning.
    spare: Option<Box<dyn DiskFile>>,
}

impl Folder {
    pub(super) fn open(disk: Arc<dyn Disk>, path: &Path, file_bytes: u64) -> io::Result<Self> {
        disk.create_folder(path)?;
        // A process that was killed may have left names that are not on the disk yet.
        disk.sync_folder(path)?;
        let mut folder = Self { disk, path: path.to_owned(), file_bytes, spare: None };
        folder.spare = folder.left_spare();
        folder.keep_spare();
        Ok(folder)
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn spare_bytes(&self) -> u64 {
        if self.spare.is_some() { self.file_bytes } else { 0 }
    }

    /// Makes a spare file when there is none. A disk that is too full for one is no error before it is needed.
    pub(super) fn keep_spare(&mut self) {
        if self.spare.is_none() {
            self.make_spare().ok();
        }
    }

    /// A file with this header, at least so long, that outlives a power loss; and how long it is.
    pub(super) fn begin(&mut self, header: &FileHeader, bytes: u64) -> Result<(Box<dyn DiskFile>, u64), AppendError> {
        self.prepare_spare(bytes).map_err(AppendError::Write)?;
        let Some(file) = self.spare.take() else { unreachable!("a spare file was prepared") };
        let begun = self.name_spare(&*file, header);
        match begun {
            Ok(bytes) => Ok((file, bytes)),
            Err(error) => {
                self.spare = Some(file);
                Err(error)
            }
        }
    }

    /// Frees a file that nobody needs: it is the next spare one, or it is removed.
    pub(super) fn free(&mut self, name: &str, bytes: u64) -> Result<(), AppendError> {
        let path = self.path.join(name);
        if self.spare.is_some() || bytes != self.file_bytes {
            self.disk.remove(&path).map_err(AppendError::Write)?;
            return self.sync();
        }
        let file = self.disk.open(&path).map_err(AppendError::Write)?;
        self.disk.rename(&path, &self.path.join(SPARE)).map_err(AppendError::Write)?;
        // Before it is written: a power loss must not bring the old name back with a new content.
        self.sync()?;
        self.spare = Some(file);
        Ok(())
    }

    /// Moves a file to where it is not read, for a person to look at.
    pub(super) fn quarantine(&self, name: &str) -> Result<(), AppendError> {
        let quarantine = self.path.join(QUARANTINE);
        let target = self.quarantined_name(&quarantine, name).map_err(AppendError::Write)?;
        self.disk.rename(&self.path.join(name), &quarantine.join(target)).map_err(AppendError::Write)?;
        self.disk.sync_folder(&quarantine).map_err(AppendError::Sync)?;
        self.sync()
    }

    /// Two files of one name may come here, and neither replaces the other.
    fn quarantined_name(&self, quarantine: &Path, name: &str) -> io::Result<String> {
        self.disk.create_folder(quarantine)?;
        let taken = self.disk.list(quarantine)?;
        let numbered = (1_u32..).map(|number| format!("{name}.{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        Ok(names.find(|name| !taken.contains(name)).expect("more names than files"))
    }

    fn prepare_spare(&mut self, bytes: u64) -> io::Result<()> {
        if self.spare.is_none() {
            self.make_spare()?;
        }
        let Some(file) = self.spare.as_ref().filter(|_| bytes > self.file_bytes) else { return Ok(()) };
        file.preallocate(bytes).inspect_err(|_| {
            // What could be had of the space is of use to others; if this fails too, it is had by the next try.
            file.set_len(self.file_bytes).ok();
        })
    }

    fn name_spare(&self, file: &dyn DiskFile, header: &FileHeader) -> Result<u64, AppendError> {
        file.write_at(&header.encode(), 0).map_err(AppendError::Write)?;
        file.sync().map_err(AppendError::Sync)?;
        let bytes = file.len().map_err(AppendError::Write)?;
        let path = self.path.join(name_of(header.first_offset));
        self.disk.rename(&self.path.join(SPARE), &path).map_err(AppendError::Write)?;
        self.sync()?;
        Ok(bytes)
    }

    fn make_spare(&mut self) -> io::Result<()> {
        let path = self.path.join(SPARE);
        let file = match self.disk.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(&path)?;
                self.disk.create(&path)
            }
            created => created,
        }?;
        if let Err(error) = file.preallocate(self.file_bytes) {
            // If it stays, the next try meets it.
            self.disk.remove(&path).ok();
            return Err(error);
        }
        self.spare = Some(file);
        Ok(())
    }

    /// The spare file of the process before, unless a crash left it unfinished or it is of another size.
    fn left_spare(&self) -> Option<Box<dyn DiskFile>> {
        let file = self.disk.open(&self.path.join(SPARE)).ok()?;
        (file.len().ok()? == self.file_bytes).then_some(file)
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.disk.sync_folder(&self.path).map_err(AppendError::Sync)
    }
}
