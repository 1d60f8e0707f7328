//! Reading a whole segment to check every hash of it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{Footer, Sealed, read_footer};
use crate::store::block::{Column, Fields, Ids, Meta, Summary, Text};
use crate::store::disk::{Disk, DiskFile};

/// How much of a file is in memory at a time.
const PIECE: u64 = 1024 * 1024;

/// What was found in a segment.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// As far as it could be read.
    pub(crate) footer: Footer,
    /// The hash of the footer: what the next segment names.
    pub(crate) hash: Vec<u8>,
    pub(crate) bytes: u64,
    /// What is wrong, as sentences.
    pub(crate) findings: Vec<String>,
}

/// Checks a segment. An error is one of reading, not of what was read.
pub(crate) fn check(disk: &Arc<dyn Disk>, folder: &Path, name: &str) -> io::Result<Checked> {
    let file = disk.open(&folder.join(name))?;
    let mut checked = Checked { bytes: file.len()?, ..Default::default() };
    let Sealed { footer, hash, start } = match read_footer(file.as_ref(), checked.bytes) {
        Ok(sealed) => sealed,
        Err(error) => {
            checked.findings.push(error.to_string());
            return Ok(checked);
        }
    };
    if hash_until(file.as_ref(), start)? != footer.body {
        checked.findings.push("the hash of the contents is wrong".to_owned());
    }
    (checked.footer, checked.hash) = (footer, hash);
    let mut expected = checked.footer.first_offset;
    for (number, block) in checked.footer.blocks.iter().enumerate() {
        if block.first_offset != expected {
            checked.findings.push(format!("block {number} begins at {} instead of {expected}", block.first_offset));
        }
        expected = block.end();
        if let Err(error) = check_block(file.as_ref(), block) {
            checked.findings.push(format!("block {number} of offset {}: {error}", block.first_offset));
        }
    }
    if expected != checked.footer.end_offset {
        checked.findings.push(format!("the last block ends at {expected} instead of {}", checked.footer.end_offset));
    }
    Ok(checked)
}

fn hash_until(file: &dyn DiskFile, end: u64) -> io::Result<Vec<u8>> {
    let (mut hash, mut position, mut piece) = (Sha256::new(), 0, Vec::new());
    while position < end {
        piece.resize(usize::try_from(PIECE.min(end - position)).unwrap_or_default(), 0);
        file.read_at(&mut piece, position)?;
        hash.update(&piece);
        position += piece.len() as u64;
    }
    Ok(hash.finalize().to_vec())
}

fn check_block(file: &dyn DiskFile, block: &Summary) -> io::Result<()> {
    let read = |column| block.column(column, |bytes, position| file.read_at(bytes, position));
    let meta = Meta::read(&read(Column::Meta)?, block.count as usize)?;
    Ids::read(read(Column::Ids)?)?;
    let fields = Fields::read(&read(Column::Fields)?, &meta)?;
    Text::read(read(Column::Text)?, &meta, &fields)?;
    Ok(())
}
