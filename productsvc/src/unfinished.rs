//! A file under another name, until it is whole: what had its name stays until then.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A file beside the one that it is to become; removed when it is dropped before.
#[derive(Debug)]
pub struct Unfinished {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

impl Unfinished {
    /// Makes an empty file beside `target`.
    pub fn beside(target: &Path) -> Result<Self> {
        let mut name = target.file_name().ok_or(Error::new(ErrorKind::InvalidInput, "it is no file"))?.to_owned();
        if target.is_dir() {
            return Err(Error::new(ErrorKind::IsADirectory, "it is a directory"));
        }
        name.push(format!(".{}.part", Uuid::new_v4().simple()));
        let path = target.with_file_name(name);
        Ok(Self { file: File::create_new(&path)?, path, target: target.to_owned() })
    }

    /// What is written.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it its name, once it is on disk.
    pub fn finish(&mut self) -> Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, &self.target)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It has its own name by now, when it was finished.
        let _gone = std::fs::remove_file(&self.path);
    }
}
