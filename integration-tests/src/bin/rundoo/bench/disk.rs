//! The disk's own pace: how long forcing data to it takes, without anything of ours.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report, quantile_ms};

/// Writes that are measured, into a file that has room for them.
const WRITES: usize = 300;

/// Prints p50 and p99 of `fdatasync` after a write of so many bytes into a preallocated file in this folder.
///
/// Answers the p50 in milliseconds.
pub(crate) fn measure(report: &mut Report, folder: &Path, write: usize) -> anyhow::Result<f64> {
    let path = folder.join("fdatasync");
    let mut file = std::fs::File::create(&path)?;
    fallocate(&file, FallocateFlags::empty(), 0, (write * WRITES) as u64)?;
    // As a write-ahead file is: its blocks were written once, so that later only data travels.
    file.write_all(&vec![0; write * WRITES])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let block: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(write).collect();
    let mut times: Vec<Duration> = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    std::fs::remove_file(path)?;
    let (p50, kib) = (quantile_ms(&mut times, 0.5), write / 1024);
    report.add(&format!("disk_fdatasync_{kib}k_p50"), p50, "ms", Goal::Stated);
    report.add(&format!("disk_fdatasync_{kib}k_p99"), quantile_ms(&mut times, 0.99), "ms", Goal::Stated);
    Ok(p50)
}
