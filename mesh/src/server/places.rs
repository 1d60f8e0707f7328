//! How many connections a process has at once: those beyond it wait to be accepted.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::complaints::Complaints;

/// Beyond it memory runs out before files do. A registry of ten thousand instances has some more than so many.
const MOST: u64 = 32_768;

/// A connection's place, for as long as it is held.
pub(crate) type Place = OwnedSemaphorePermit;

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    complaints: Complaints,
}

impl Places {
    /// Most of the files that the process may have open. The rest is for its own.
    pub(crate) fn open() -> Self {
        let most = count(raised());
        tracing::debug!("{most} connections may be open at once");
        Self { free: Arc::new(Semaphore::new(most)), complaints: Complaints::default() }
    }

    /// Takes a place, when there is one.
    pub(crate) async fn take(&self) -> Place {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return place;
        }
        self.complaints.warn(|more| {
            tracing::warn!("all connections that this process may have are open: the next ones wait{more}");
        });
        self.free.clone().acquire_owned().await.expect("nobody closes it")
    }
}

/// Of so many files, those that are connections.
fn count(files: u64) -> usize {
    let most = (files - files / 4).clamp(1, MOST);
    usize::try_from(most).expect("it is far from what an address can be")
}

/// Allows the process all files that it may allow itself: shells give 1,024, which is for programs that use `select`.
fn raised() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::debug!("could not raise the limit of open files: {error}");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_files_is_for_the_process_itself() {
        assert_eq!(count(1024), 768);
        assert_eq!(count(4), 3);
        assert_eq!(count(u64::MAX), 32_768);
        assert_eq!(count(0), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_all_places_are_taken_waits() {
        let places = Places { free: Arc::new(Semaphore::new(1)), complaints: Complaints::default() };
        let place = places.take().await;
        let waits = tokio::time::timeout(std::time::Duration::from_secs(1), places.take()).await;
        assert!(waits.is_err());
        drop(place);
        let _place = places.take().await;
    }
}
