//! What is read from files, and read again when those change.
//!
//! Reading that fails at the start is an error; later it is a log record, and what was read before stays. It is tried
//! again then, though the files stay as they are: what could not be opened may be, and what was not valid yet becomes so.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::task::Tasks;

/// How often the files are looked at: a look costs microseconds.
const LOOK: Duration = Duration::from_secs(1);

/// What could not be taken up is tried again after so many looks.
const AGAIN: u32 = 30;

/// A value that is kept as its files are. Cheap to clone; nobody looks any more when the last clone is dropped.
pub(crate) struct Watched<T>(Arc<Shared<T>>);

struct Shared<T> {
    /// For people: what the files are.
    what: &'static str,
    files: Vec<PathBuf>,
    read: Box<Reads<T>>,
    current: RwLock<Arc<T>>,
    /// Rises with each change that is taken up.
    changes: watch::Sender<u64>,
    tasks: Tasks,
}

/// Reads the files; whoever was read before is there to be compared with.
type Reads<T> = dyn Fn(Option<&T>) -> anyhow::Result<T> + Send + Sync;

/// How a file is, so that a change shows, also one of who may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64, (i64, i64))>);

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
        let shared = Arc::new(Shared {
            what,
            files,
            read: Box::new(read),
            current,
            changes: watch::Sender::default(),
            tasks: Tasks::new(),
        });
        shared.tasks.spawn("watched files", follow(Arc::downgrade(&shared), stamps));
        Ok(Self(shared))
    }

    /// As it is now.
    pub(crate) fn current(&self) -> Arc<T> {
        self.0.current()
    }

    /// Tells of each change that is taken up from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }
}

impl<T> Shared<T> {
    fn current(&self) -> Arc<T> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers why it could not, which is said unless it was before.
    fn read_again(&self, before: Option<String>) -> Option<String> {
        let what = self.what;
        match (self.read)(Some(&self.current())) {
            Ok(read) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
                self.changes.send_modify(|changes| *changes += 1);
                tracing::info!("took up the changed {what}");
                None
            }
            Err(error) => {
                let why = format!("{error:#}");
                if before.as_ref() != Some(&why) {
                    tracing::warn!("could not take up the changed {what} and goes on with the old: {why}");
                }
                Some(why)
            }
        }
    }
}

async fn follow<T>(shared: Weak<Shared<T>>, mut read: Vec<Stamp>) {
    let mut seen = read.clone();
    // Why it could not be read, and for how many looks.
    let (mut failed, mut looks) = (None, 0);
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(shared) = shared.upgrade() else { return };
        let now = stamps(&shared.files);
        // Somebody may be in the middle of it: they are read once they stay as they are for a look.
        let settled = seen == now;
        looks += 1;
        if settled && (read != now || (failed.is_some() && looks >= AGAIN)) {
            // What is wrong with other files is said again.
            let before = failed.take().filter(|_| read == now);
            (failed, looks) = (shared.read_again(before), 0);
            read.clone_from(&now);
        }
        seen = now;
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino(), (metadata.ctime(), metadata.ctime_nsec())))
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
    use std::sync::atomic::{AtomicBool, Ordering};

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

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_is_read_when_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        std::fs::write(&file, "1").unwrap();
        let (is_away, at) = (Arc::new(AtomicBool::new(false)), file.clone());
        let away = is_away.clone();
        let read = move |_: Option<&u32>| {
            anyhow::ensure!(!away.load(Ordering::Relaxed), "it is away");
            Ok(std::fs::read_to_string(&at)?.parse()?)
        };
        let watched = Watched::start("number", vec![file.clone()], read).unwrap();

        is_away.store(true, Ordering::Relaxed);
        std::fs::write(&file, "22").unwrap();
        tokio::time::sleep(LOOK * 4).await;
        assert_eq!(*watched.current(), 1);
        is_away.store(false, Ordering::Relaxed);
        tokio::time::sleep(LOOK * (AGAIN + 2)).await;
        assert_eq!(*watched.current(), 22, "though the file is as it was");
    }
}
