//! The file layer: every access of the store to a disk goes through here.
//!
//! It is as thin as it can be and promises what POSIX promises: bytes are on the disk after `sync`, names after
//! `sync_folder`. Tests put a simulated disk in its place, which loses power and fills up on demand.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

#[cfg(test)]
pub(crate) mod simulated;

/// Held as long as this lives; dropped, another process may take it.
pub(crate) type Lock = Box<dyn LockGuard>;

/// What a lock is made of is nobody's business.
pub(crate) trait LockGuard: Send + Sync + Debug {}

impl<T: Send + Sync + Debug> LockGuard for T {}

/// A disk: folders, and names in them. A change of names outlives a power loss only after `sync_folder`.
pub(crate) trait Disk: Send + Sync + Debug {
    /// Creates the folder and the ones above it, durably; one that exists is left as it is.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names of the files (not folders) in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// A new, empty file; `AlreadyExists` when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file that exists, to read and to write.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Replaces `to` when it exists.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// After this every change of names in the folder outlives a power loss.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// An exclusive lock among processes, on a file that is created for it; `AddrInUse` when somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// An open file. A failed `sync` must never be tried again: the kernel forgets the pages that it could not write, and
/// the next `sync` would answer that all is well.
pub(crate) trait DiskFile: Send + Sync + Debug {
    fn len(&self) -> io::Result<u64>;

    /// Makes the file at least this long with space that is reserved; `StorageFull` when there is none. A file system
    /// that cannot reserve makes it longer without.
    fn preallocate(&self, bytes: u64) -> io::Result<()>;

    /// All of it or an error; after an error any part of it may have been written.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Fills the buffer or fails: `UnexpectedEof` when the file ends before.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()>;

    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// `fdatasync`: after this the content, and the length it needs, outlive a power loss.
    fn sync(&self) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let above = above(folder);
        self.create_folder(above)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => created.map_err(naming(folder))?,
        }
        self.sync_folder(above)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(naming(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // The store gives no other names than UTF-8 ones; a stranger's file is none of ours.
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(naming(path))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(naming(path))?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(naming(from))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(naming(path))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(naming(folder))
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        // The content is left alone: whoever holds the lock may have written there who it is.
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(naming(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(in_use(path)),
            Err(TryLockError::Error(error)) => Err(naming(path)(error)),
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let length = self.len()?;
        if bytes == 0 {
            return Ok(());
        }
        match fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) if bytes > length => self.0.set_len(bytes),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            reserved => Ok(reserved?),
        }
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, position)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The folder that holds this name.
fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn in_use(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, format!("{} is held by another process", path.display()))
}

/// An error of the operating system does not say which file it is about.
fn naming(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_what_was_written_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = RealDisk.create(&path).unwrap();
        file.preallocate(100).unwrap();
        file.preallocate(10).unwrap();
        assert_eq!(file.len().unwrap(), 100, "preallocation never shortens");
        file.write_at(b"twelve bytes", 95).unwrap();
        file.sync().unwrap();

        let file = RealDisk.open(&path).unwrap();
        let mut read = [0; 12];
        file.read_at(&mut read, 95).unwrap();
        assert_eq!(&read, b"twelve bytes");
        assert_eq!(file.read_at(&mut read, 96).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        file.set_len(3).unwrap();
        assert_eq!(file.len().unwrap(), 3);
    }

    #[test]
    fn a_name_is_created_once_and_listed_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x/y");
        RealDisk.create_folder(&path).unwrap();
        RealDisk.create_folder(&path).unwrap();
        RealDisk.create(&path.join("b")).unwrap();
        RealDisk.create(&path.join("a")).unwrap();
        RealDisk.create_folder(&path.join("folder")).unwrap();
        assert_eq!(RealDisk.list(&path).unwrap(), ["a", "b"]);
        assert_eq!(RealDisk.create(&path.join("a")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);

        RealDisk.rename(&path.join("a"), &path.join("c")).unwrap();
        RealDisk.remove(&path.join("b")).unwrap();
        RealDisk.sync_folder(&path).unwrap();
        assert_eq!(RealDisk.list(&path).unwrap(), ["c"]);
        let error = RealDisk.open(&path.join("a")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("x/y/a"), "{error}");
    }

    #[test]
    fn a_lock_is_held_by_one_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = RealDisk.lock(&path).unwrap();
        assert_eq!(RealDisk.lock(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(held);
        RealDisk.lock(&path).unwrap();
    }
}
