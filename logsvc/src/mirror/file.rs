//! `app.log` and its cursor: each line once, whoever kills us, and whatever others do to the file.
//!
//! Lines are appended first and the cursor is written then. A process that dies between
//! the two leaves lines beyond the cursor: they are cut off at the next start, and derived
//! again. Nothing is forced to disk: the log is what must not be lost.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::line;
use crate::mirror::cursor::{Cursor, CursorFile};

/// How much beyond the cursor is searched for lines of ours. A batch is far smaller; more
/// than this was put there by somebody else.
const MOST_MENDED: u64 = 64 * 1024 * 1024;

/// Where the mirror is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The readable file.
    pub(crate) file: PathBuf,
    /// Says how far it has come; it belongs beside the log, for it dies with it.
    pub(crate) cursor: PathBuf,
    /// Before it grows past this, in bytes, the file becomes FILE.1 and a new one begins.
    pub(crate) limit: u64,
}

/// The file while it grows.
#[derive(Debug)]
pub(super) struct AppLog {
    place: Place,
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    /// Where our last line ended, in bytes.
    length: u64,
    cursor: CursorFile,
    next: u64,
}

/// A file that was opened, and what has to be said in it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) log: AppLog,
    /// Why lines may be missing before what comes now.
    pub(super) note: Option<String>,
}

impl AppLog {
    /// Opens the file, mended. `end` is where the log ends: a mirror that does not know how far it came goes on there.
    pub(super) fn open(place: &Place, end: u64) -> io::Result<Opened> {
        for path in [&place.file, &place.cursor] {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
        }
        let (cursor, known) = CursorFile::open(&place.cursor)?;
        let (file, metadata) = open(&place.file)?;
        let known = known.filter(|known| known.next <= end);
        let length = metadata.len();
        let note = match known {
            Some(known) if known.inode == metadata.ino() && known.length > length => {
                Some(format!("{} bytes of this file are gone; the log has the records", known.length - length))
            }
            None if length > 0 && end > 1 => Some(format!("this file goes on at offset {end}: its cursor is lost")),
            _ => None,
        };
        let next = known.map_or(if length == 0 { 1 } else { end }, |known| known.next);
        if let Some(known) = known.filter(|known| known.inode == metadata.ino() && known.length < length) {
            mend(&file, known.length)?;
        }
        let identity = identity(&metadata);
        let mut log = Self { place: place.clone(), file, identity, length, cursor, next };
        log.end_line()?;
        log.note_progress()?;
        Ok(Opened { log, note })
    }

    /// The offset of the record that comes next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Appends whole lines, after which `next` comes. After a failure it has to be opened again.
    pub(super) fn append(&mut self, lines: &str, next: u64) -> io::Result<()> {
        self.look_around()?;
        let grown = self.length.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        if self.length > 0 && grown > self.place.limit {
            fs::rename(&self.place.file, rotated(&self.place.file))?;
            self.begin_anew()?;
        }
        self.file.write_all(lines.as_bytes())?;
        self.length = self.file.stream_position()?;
        self.next = next;
        self.note_progress()
    }

    /// Notices what others did to the file since the last line.
    fn look_around(&mut self) -> io::Result<()> {
        match fs::metadata(&self.place.file) {
            Ok(metadata) if identity(&metadata) == self.identity => {
                if metadata.len() != self.length {
                    self.end_line()
                } else {
                    Ok(())
                }
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // Removed or renamed.
            _ => self.begin_anew(),
        }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let (file, metadata) = open(&self.place.file)?;
        (self.file, self.identity) = (file, identity(&metadata));
        self.end_line()?;
        // Before the first line: otherwise nobody would know that it is ours.
        self.note_progress()
    }

    /// Puts a line feed after text of others that has none.
    fn end_line(&mut self) -> io::Result<()> {
        self.length = self.file.metadata()?.len();
        let mut last = [b'\n'];
        if let Some(place) = self.length.checked_sub(1) {
            self.file.read_exact_at(&mut last, place)?;
        }
        if last != [b'\n'] {
            self.file.write_all(b"\n")?;
            self.length = self.file.stream_position()?;
        }
        Ok(())
    }

    fn note_progress(&self) -> io::Result<()> {
        self.cursor.write(Cursor { inode: self.identity.1, length: self.length, next: self.next })
    }
}

fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The name of the file before this one.
pub(super) fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// Takes our lines out of what is beyond the cursor; what others wrote there stays.
fn mend(mut file: &File, from: u64) -> io::Result<()> {
    let mut beyond = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(MOST_MENDED).read_to_end(&mut beyond)?;
    let mut lines = beyond.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.by_ref().take_while(|line| !line::begins_like_ours(line)).map(<[u8]>::len).sum();
    if before == beyond.len() || file.metadata()?.len() > from.saturating_add(MOST_MENDED) {
        return Ok(());
    }
    let others: Vec<u8> = lines.filter(|line| !line::begins_like_ours(line)).flatten().copied().collect();
    file.set_len(from + u64::try_from(before).unwrap_or_default())?;
    file.write_all(&others)
}

#[cfg(test)]
mod tests;
