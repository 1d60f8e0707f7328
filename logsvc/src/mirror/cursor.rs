//! How far the mirror has come: which file, how long it was, and which record comes next.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Begins every cursor; the digit is the version of its format.
const MAGIC: [u8; 8] = *b"mirror 1";

/// Magic, three numbers, checksum: far less than what the kernel writes at once.
const SIZE: usize = 40;

/// A point at which file and log agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) inode: u64,
    /// What of the file is derived from records before `next`, in bytes.
    pub(super) length: u64,
    /// The offset of the record that is derived next.
    pub(super) next: u64,
}

/// Where the cursor is kept.
#[derive(Debug)]
pub(super) struct CursorFile(File);

impl CursorFile {
    /// Opens it; there is no cursor when the file is new or damaged.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Cursor>)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = [0; SIZE];
        let cursor = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok((Self(file), cursor))
    }

    /// Replaces the cursor by one write.
    pub(super) fn write(&self, cursor: Cursor) -> io::Result<()> {
        self.0.write_all_at(&encode(cursor), 0)
    }
}

fn encode(cursor: Cursor) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&MAGIC);
    for (place, number) in [(8, cursor.inode), (16, cursor.length), (24, cursor.next)] {
        bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
    }
    let checksum = checksum(&bytes[..32]);
    bytes[32..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; SIZE]) -> Option<Cursor> {
    let number = |place: usize| Some(u64::from_le_bytes(bytes.get(place..place + 8)?.try_into().ok()?));
    let is_whole = bytes.starts_with(&MAGIC) && number(32)? == checksum(&bytes[..32]);
    if !is_whole {
        return None;
    }
    Some(Cursor { inode: number(8)?, length: number(16)?, next: number(24)? })
}

/// FNV-1a: what a torn write leaves does not pass it, and nobody gains by forging it.
///
/// <http://www.isthe.com/chongo/tech/comp/fnv/>
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: Cursor = Cursor { inode: 7, length: 1 << 40, next: 12 };

    #[test]
    fn a_cursor_survives_being_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mirror.cursor");

        let (file, none) = CursorFile::open(&path).unwrap();
        file.write(Cursor { next: 11, ..CURSOR }).unwrap();
        file.write(CURSOR).unwrap();

        assert_eq!(none, None);
        assert_eq!(CursorFile::open(&path).unwrap().1, Some(CURSOR));
    }

    #[test]
    fn no_damaged_byte_goes_unnoticed() {
        let whole = encode(CURSOR);
        assert_eq!(decode(&whole), Some(CURSOR));
        for place in 0..SIZE {
            let mut damaged = whole;
            damaged[place] ^= 0x10;
            assert_eq!(decode(&damaged), None, "byte {place}");
        }
        assert_eq!(decode(&[0; SIZE]), None);
    }
}
