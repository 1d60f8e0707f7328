//! The file on disk: opening, appending, rotating.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::entry::Entry;
use crate::line;

/// Past this the file becomes FILE.1, in place of the one before.
const LARGEST: u64 = 256 * 1024 * 1024;

/// How much of the end is read at the start, for marks and tails.
const READ_BACK: u64 = 16 * 1024 * 1024;

/// The open log file. Its end is always the end of a line.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    len: u64,
}

impl LogFile {
    /// Opens or creates the file; cuts off a line that a crash tore.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = folder(path);
        fs::create_dir_all(folder)?;
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        file.try_lock().map_err(|_| io::Error::new(io::ErrorKind::AddrInUse, "another log service writes to it"))?;
        File::open(folder)?.sync_all()?;
        let len = file.metadata()?.len();
        let mut log = Self { path: path.to_owned(), file, len };
        log.cut_torn_line()?;
        Ok(log)
    }

    /// The entries at the end of the log, oldest first.
    pub(super) fn read_back(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let before = File::open(self.rotated()).ok().filter(|_| self.len < READ_BACK);
        let current = File::open(&self.path)?;
        for file in before.into_iter().chain([current]) {
            let start = file.metadata()?.len().saturating_sub(READ_BACK);
            let mut reader = BufReader::new(file);
            reader.seek(SeekFrom::Start(start))?;
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                // A first line that was begun in the middle is not one of ours, like what people write into the file.
                let text = String::from_utf8_lossy(&line);
                entries.extend(line::read(text.trim_end_matches('\n')));
                line.clear();
            }
        }
        Ok(entries)
    }

    /// Appends lines and forces them to disk. After an error the file is as before.
    pub(super) fn append(&mut self, lines: &str) -> Result<(), AppendError> {
        // Someone removed the file: what is written to it now would be nowhere.
        let is_gone = self.file.metadata().map_err(AppendError::Write)?.nlink() == 0;
        if is_gone {
            self.reopen().map_err(AppendError::Write)?;
        } else if self.len > LARGEST {
            fs::rename(&self.path, self.rotated()).map_err(AppendError::Write)?;
            self.reopen().map_err(AppendError::Write)?;
        }
        if let Err(error) = self.file.write_all(lines.as_bytes()) {
            self.file.set_len(self.len).map_err(AppendError::Sync)?;
            return Err(AppendError::Write(error));
        }
        self.file.sync_data().map_err(AppendError::Sync)?;
        self.len += lines.len() as u64;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path.clone())?;
        Ok(())
    }

    fn rotated(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }

    /// Whether what stands from `start` on is a torn line of ours, and not somebody else's text.
    fn is_ours(&mut self, start: u64) -> io::Result<bool> {
        let mut bytes = [0; 28];
        self.file.seek(SeekFrom::Start(start))?;
        let read = self.file.read(&mut bytes)?;
        Ok(begins_like_ours(&bytes[..read]))
    }

    fn cut_torn_line(&mut self) -> io::Result<()> {
        let mut end = self.len;
        let mut bytes = [0; 4096];
        while end > 0 {
            let start = end.saturating_sub(bytes.len() as u64);
            let piece = &mut bytes[..usize::try_from(end - start).unwrap_or_default()];
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(piece)?;
            if let Some(feed) = piece.iter().rposition(|byte| *byte == b'\n') {
                end = start + feed as u64 + 1;
                break;
            }
            end = start;
        }
        if end < self.len {
            if !self.is_ours(end)? {
                let words = "it ends in the middle of a line and does not look like a log of ours; nothing was changed";
                return Err(io::Error::new(io::ErrorKind::InvalidData, words));
            }
            self.file.set_len(end)?;
            self.file.sync_all()?;
            self.len = end;
        }
        Ok(())
    }
}

/// Whether text begins like one of our lines, however short a crash cut it.
fn begins_like_ours(text: &[u8]) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00.000000Z ";
    text.iter().zip(SHAPE).all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
}

/// Why lines are not on disk.
#[derive(Debug)]
pub(super) enum AppendError {
    /// They could not be written; the file is as before.
    Write(io::Error),
    /// They may or may not be on disk: nothing can be promised of this file any more.
    Sync(io::Error),
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
