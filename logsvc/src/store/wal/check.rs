//! What a person asks of the files: is everything there that was confirmed?

use std::io;
use std::path::Path;

use super::super::disk::Disk;
use super::OpenError;
use super::replay::{ReadFile, Replay};

/// How often the files are read anew because the service freed one of them meanwhile.
const TRIES: usize = 5;

/// What one file holds and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileReport {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    /// From the name of the file.
    pub(crate) first_offset: u64,
    /// The offset of the last record; none when the file holds no record.
    pub(crate) last_offset: Option<u64>,
    /// Sentences; none when all is well. What follows the last frame of the newest file is none: it is a commit that
    /// was never finished, or the place that is being written right now.
    pub(crate) findings: Vec<String>,
}

/// Reads every file, oldest first, and changes nothing; a service may be at work on them.
pub(crate) fn check(disk: &dyn Disk, folder: &Path) -> Result<Vec<FileReport>, OpenError> {
    let mut tries = 0;
    let replay = loop {
        tries += 1;
        match Replay::read(disk, folder, &mut |_| Ok(())) {
            Err(OpenError::Disk(error)) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
            read => break read?,
        }
    };
    // A file that was freed while it was read may already be another one: nothing is to be said of it.
    let names = disk.list(folder)?;
    Ok(replay.files.iter().filter(|file| names.contains(&file.name)).map(FileReport::of).collect())
}

impl FileReport {
    fn of(file: &ReadFile) -> Self {
        let mut findings: Vec<String> = file.damage.iter().map(|damage| format!("{damage}.")).collect();
        match file.header {
            None => findings.insert(0, "The header cannot be read, so none of the frames can.".to_owned()),
            Some(_) if !file.header_is_whole => {
                findings.push("One copy of the header is broken; the other one is used.".to_owned());
            }
            Some(_) => {}
        }
        Self {
            name: file.name.clone(),
            bytes: file.bytes,
            frames: file.frames,
            first_offset: file.first_offset,
            last_offset: file.last_frame.map(|_| file.end_offset - 1),
            findings,
        }
    }
}
