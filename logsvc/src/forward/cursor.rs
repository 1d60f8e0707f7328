//! How far everything is handed on, kept on disk.
//!
//! Two lines of text, replaced as a whole: `endpoint http://collector:4317` and
//! `offset 4711`. A cursor that is older than the truth repeats; none is ahead of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

const NAME: &str = "forward.cursor";

/// Forcing a file to disk takes milliseconds, and a batch perhaps one: they are not one to one.
const OFTEN: Duration = Duration::from_millis(200);

/// The offset that is handed on next, for one endpoint.
#[derive(Debug)]
pub(super) struct Cursor {
    folder: PathBuf,
    endpoint: String,
    /// None at the beginning of what is kept.
    next: Option<u64>,
    is_saved: bool,
    saved: Instant,
}

impl Cursor {
    /// Reads the cursor; one of another endpoint, or none that can be read, begins anew.
    pub(super) fn open(folder: &Path, endpoint: &str) -> std::io::Result<Self> {
        let next = match std::fs::read_to_string(folder.join(NAME)) {
            Ok(text) => parse(&text).filter(|(of, _)| *of == endpoint).map(|(_, offset)| offset),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (folder, endpoint) = (folder.to_owned(), endpoint.to_owned());
        Ok(Self { folder, endpoint, next, is_saved: true, saved: Instant::now() })
    }

    /// The offset that is handed on next; none when that is the first one that is kept.
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }

    pub(super) fn advance(&mut self, next: u64) {
        self.next = Some(next);
        self.is_saved = false;
    }

    /// When it should be saved; none when it is.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.is_saved).then(|| self.saved + OFTEN)
    }

    /// Saves it if it is time to.
    pub(super) fn save_when_due(&mut self) -> std::io::Result<()> {
        match self.due() {
            Some(due) if due <= Instant::now() => self.save(),
            _ => Ok(()),
        }
    }

    /// Saves it, if there is anything new.
    pub(super) fn save(&mut self) -> std::io::Result<()> {
        let Some(next) = self.next.filter(|_| !self.is_saved) else { return Ok(()) };
        // Also when it fails: a disk that is full is not asked again with each batch.
        self.saved = Instant::now();
        let new = self.folder.join(format!("{NAME}.new"));
        let mut file = std::fs::File::create(&new)?;
        write!(file, "endpoint {}\noffset {next}\n", self.endpoint)?;
        file.sync_data()?;
        std::fs::rename(&new, self.folder.join(NAME))?;
        std::fs::File::open(&self.folder)?.sync_all()?;
        self.is_saved = true;
        Ok(())
    }
}

fn parse(text: &str) -> Option<(&str, u64)> {
    let (first, second) = text.trim_end().split_once('\n')?;
    Some((first.strip_prefix("endpoint ")?, second.strip_prefix("offset ")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_found_again_by_its_own_endpoint_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut cursor = Cursor::open(folder.path(), "http://a:4317").unwrap();
        assert_eq!(cursor.next(), None);

        cursor.advance(4711);
        cursor.save().unwrap();

        assert_eq!(Cursor::open(folder.path(), "http://a:4317").unwrap().next(), Some(4711));
        assert_eq!(Cursor::open(folder.path(), "http://b:4317").unwrap().next(), None);
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "offset 1", "endpoint http://a:4317\noffset -1\n", "endpoint http://a:4317\noffset 1\nmore"] {
            std::fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(Cursor::open(folder.path(), "http://a:4317").unwrap().next(), None, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_written_now_and_then_only() {
        let folder = tempfile::tempdir().unwrap();
        let kept = || Cursor::open(folder.path(), "http://a:4317").unwrap().next();
        let mut cursor = Cursor::open(folder.path(), "http://a:4317").unwrap();

        cursor.advance(1);
        cursor.save_when_due().unwrap();
        assert_eq!(kept(), None);

        tokio::time::advance(OFTEN).await;
        cursor.advance(2);
        cursor.save_when_due().unwrap();
        assert_eq!(kept(), Some(2));
    }
}
