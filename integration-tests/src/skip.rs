//! What the machine lacks: said loudly and counted; under `CI=true` a failure.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Says that a test is skipped and how to enable it. Panics under `CI=true`.
pub fn skip(what: &str, enable: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!in_ci, "{what} cannot be skipped under CI=true; enable it with: {enable}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    // Not through eprintln!, which the test runner swallows when a test passes.
    let _closed = writeln!(std::io::stderr(), "\nSKIPPED ({count} so far): {what}. Enable it with: {enable}\n");
}
