//! Reading everything that is stored, and checking every hash.

use std::io;
use std::path::Path;
use std::sync::Arc;

use proto::logs::{OffsetRange, VerifiedFile, VerifyDone};

use super::disk::Disk;
use super::opening::{quarantine_in, segments_in, wal_in};
use super::segment::{self, Checked};
use super::wal::{self, FileReport};

/// Checks the log in a folder, whether a service has it open or not; `tell` is told of each file.
pub(crate) fn verify(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    tell: &mut dyn FnMut(VerifiedFile),
) -> io::Result<VerifyDone> {
    let mut done = VerifyDone::default();
    let mut tell = |file: VerifiedFile, done: &mut VerifyDone| {
        done.files += 1;
        done.findings += file.findings.len() as u64;
        tell(file);
    };
    let mut before = None;
    for name in names(disk, &segments_in(folder))?.into_iter().filter(|name| name.ends_with(".seg")) {
        let mut checked = match segment::check(disk, &segments_in(folder), &name) {
            // Retention removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            checked => checked?,
        };
        check_chain(before.as_ref(), &mut checked);
        done.records += checked.footer.blocks.iter().map(|block| u64::from(block.count)).sum::<u64>();
        let offsets = OffsetRange { first: checked.footer.first_offset, end: checked.footer.end_offset };
        let findings = std::mem::take(&mut checked.findings);
        tell(
            VerifiedFile { name: format!("segments/{name}"), offsets: Some(offsets), bytes: checked.bytes, findings },
            &mut done,
        );
        before = Some(checked);
    }
    let sealed = before.map_or(0, |before| before.footer.end_offset);
    for file in wal::check(disk.as_ref(), &wal_in(folder)).map_err(io::Error::other)? {
        let end = file.last_offset.map_or(file.first_offset, |last| last + 1);
        done.records += end.saturating_sub(file.first_offset.max(sealed));
        let offsets = Some(OffsetRange { first: file.first_offset, end });
        let FileReport { name, bytes, findings, .. } = file;
        tell(VerifiedFile { name: format!("wal/{name}"), offsets, bytes, findings }, &mut done);
    }
    for (part, folder) in [("segments", segments_in(folder)), ("wal", wal_in(folder))] {
        for name in names(disk, &quarantine_in(&folder))? {
            let bytes = disk.open(&quarantine_in(&folder).join(&name))?.len()?;
            let findings = vec!["the file was damaged and was put aside".to_owned()];
            let name = format!("{part}/quarantine/{name}");
            tell(VerifiedFile { name, offsets: None, bytes, findings }, &mut done);
        }
    }
    Ok(done)
}

/// Whether a segment follows on the one before.
fn check_chain(before: Option<&Checked>, checked: &mut Checked) {
    let Some(before) = before else { return };
    let (end, first) = (before.footer.end_offset, checked.footer.first_offset);
    if end != first {
        checked.findings.push(format!("offsets {end} to {} are missing before it", first.saturating_sub(1)));
    }
    if checked.footer.previous != before.hash {
        checked.findings.push("it does not name the hash of the segment before it".to_owned());
    }
}

fn names(disk: &Arc<dyn Disk>, folder: &Path) -> io::Result<Vec<String>> {
    match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}
