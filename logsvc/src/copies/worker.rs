//! The thread that copies: one segment at a time.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::destination::{CopyError, Destination};
use super::{CopyStatus, List, SealedFile, lock};
use crate::cause;

/// How often it looks for new segments; a segment takes minutes to fill.
const TICK: Duration = Duration::from_secs(2);

/// Waits after failures: doubling from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often trouble is said at most.
const QUIET: Duration = Duration::from_secs(60);

/// What the thread works with.
pub(super) struct Worker {
    destination: Destination,
    list: List,
    status: Arc<Mutex<CopyStatus>>,
    /// Names of segments that are there.
    copied: HashSet<String>,
    /// Segments that are not, by their first offset.
    waiting: BTreeMap<u64, SealedFile>,
    /// Names that belong to something else over there, for good.
    taken: HashSet<String>,
    failures: u32,
    resume: Option<Instant>,
    trouble: Option<String>,
    said: Option<Instant>,
}

impl Worker {
    pub(super) fn new(destination: Destination, list: List, status: Arc<Mutex<CopyStatus>>) -> Self {
        Self {
            destination,
            list,
            status,
            copied: HashSet::new(),
            waiting: BTreeMap::new(),
            taken: HashSet::new(),
            failures: 0,
            resume: None,
            trouble: None,
            said: None,
        }
    }

    /// Copies one segment, or waits for one.
    pub(super) async fn step(&mut self) {
        if let Some(resume) = self.resume.take() {
            tokio::time::sleep_until(resume).await;
        }
        self.look();
        let Some(file) = self.waiting.values().next().cloned() else {
            self.resume = Some(Instant::now() + TICK);
            return;
        };
        let result = self.destination.copy(&file).await;
        self.settle(file, result);
        self.tell();
    }

    /// Says what is wrong: now and then only, because a bucket may be away for days.
    pub(super) fn complain(&mut self) {
        let is_due = self.said.is_none_or(|said| said.elapsed() >= QUIET);
        if let Some(words) = self.trouble.take_if(|_| is_due) {
            tracing::warn!("{words}");
            self.said = Some(Instant::now());
        }
    }

    /// Learns which segments there are now, and which are there no more.
    fn look(&mut self) {
        let sealed = (self.list)();
        let names: HashSet<&str> = sealed.iter().map(|file| file.name.as_str()).collect();
        self.copied.retain(|name| names.contains(name.as_str()));
        self.taken.retain(|name| names.contains(name.as_str()));
        let gone: Vec<SealedFile> =
            self.waiting.extract_if(.., |_, file| !names.contains(file.name.as_str())).map(|(_, file)| file).collect();
        gone.iter().for_each(|file| self.miss(file));
        for file in sealed {
            if !self.copied.contains(&file.name) && !self.taken.contains(&file.name) {
                self.waiting.insert(file.first_offset, file);
            }
        }
        self.tell();
    }

    fn settle(&mut self, file: SealedFile, result: Result<bool, CopyError>) {
        match result {
            Ok(_) => {
                self.waiting.remove(&file.first_offset);
                self.copied.insert(file.name);
                self.failures = 0;
                lock(&self.status).last_error.clear();
            }
            Err(CopyError::Gone) => {
                self.waiting.remove(&file.first_offset);
                self.miss(&file);
            }
            Err(error) => {
                let words = format!("segment {} could not be copied: {}", file.name, cause::words(&error));
                if let CopyError::Taken { .. } = error {
                    // The others are not to wait for it.
                    self.waiting.remove(&file.first_offset);
                    self.taken.insert(file.name);
                } else {
                    self.wait();
                }
                lock(&self.status).last_error.clone_from(&words);
                self.trouble = Some(words);
            }
        }
    }

    fn miss(&mut self, file: &SealedFile) {
        lock(&self.status).missed += 1;
        self.trouble = Some(format!("segment {} was removed before it was copied", file.name));
    }

    /// Tries again later: half of the wait is certain, half is chance.
    fn wait(&mut self) {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures += 1;
        self.resume = Some(Instant::now() + doubled.mul_f64(0.5 + fastrand::f64() / 2.0));
    }

    fn tell(&self) {
        let mut status = lock(&self.status);
        status.copied = self.copied.len() as u64;
        status.waiting = (self.waiting.len() + self.taken.len()) as u64;
    }
}
