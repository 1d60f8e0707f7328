//! What is read from files, and read again when those change.
//!
//! Reading that fails at the start is an error; later it is a log record, and what was read before stays.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

use crate::task::Tasks;

/// How often the files are looked at: a look costs microseconds.
const LOOK: Duration = Duration::from_secs(1);

/// A value that is kept as its files are. Cheap to clone; nobody looks any more when the last clone is dropped.
pub(crate) struct Watched<T>(Arc<Shared<T>>);

struct Shared<T> {
    /// For people: what the files are.
    what: &'static str,
    files: Vec<PathBuf>,
    read: Box<Reads<T>>,
    current: RwLock<Arc<T>>,
    tasks: Tasks,
}

/// Reads the files; whoever was read before is there to be compared with.
type Reads<T> = dyn Fn(Option<&T>) -> anyhow::Result<T> + Send + Sync;

/// How a file is, so that a change shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the files now, and whenever they change from now on. Needs a tokio runtime.
    pub(crate) fn start(
        what: &'static str,
        files: Vec<PathBuf>,
        read: impl Fn(Option<&T>) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        // Before they are read: what changes meanwhile is read again.
        let stamps = stamps(&files);
        let current = RwLock::new(Arc::new(read(None)?));
        let shared = Arc::new(Shared { what, files, read: Box::new(read), current, tasks: Tasks::new() });
        shared.tasks.spawn("watched files", follow(Arc::downgrade(&shared), stamps));
        Ok(Self(shared))
    }

    /// As it is now.
    pub(crate) fn current(&self) -> Arc<T> {
        self.0.current()
    }
}

impl<T> Shared<T> {
    fn current(&self) -> Arc<T> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read_again(&self) {
        let what = self.what;
        match (self.read)(Some(&self.current())) {
            Ok(read) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
                tracing::info!("took up the changed {what}");
            }
            Err(error) => tracing::warn!("could not take up the changed {what} and goes on with the old: {error:#}"),
        }
    }
}

async fn follow<T>(shared: Weak<Shared<T>>, mut read: Vec<Stamp>) {
    let mut seen = read.clone();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(shared) = shared.upgrade() else { return };
        let now = stamps(&shared.files);
        // Somebody may be in the middle of it: they are read once they stay as they are for a look.
        let settled = seen == now;
        if settled && read != now {
            shared.read_again();
            read.clone_from(&now);
        }
        seen = now;
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    files.iter().map(|file| Stamp(stamp(file))).collect()
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> std::fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_taken_up_and_a_bad_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let at = file.clone();
        let read = move |_: Option<&u32>| Ok(std::fs::read_to_string(&at)?.parse()?);
        write("1");
        let watched = Watched::start("number", vec![file.clone()], read).unwrap();

        write("nonsense");
        tokio::time::sleep(LOOK * 4).await;
        assert_eq!(*watched.current(), 1);
        write("22");
        tokio::time::sleep(LOOK * 4).await;
        assert_eq!(*watched.current(), 22);
        std::fs::remove_file(&file).unwrap();
        tokio::time::sleep(LOOK * 4).await;
        assert_eq!(*watched.current(), 22);
    }
}
