//! Imports that go on in the background: dry runs that are applied, and what is undone.
//!
//! Any instance does a job that nobody else does. Each piece is a transaction that moves
//! the job's mark, so that a job whose worker was killed goes on exactly where it was.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::error::Error;
use crate::import::{Job, State};
use crate::store::ProductStore;

/// How often we look for jobs that others were asked for and left. Of our own we know at once.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// How long a piece may wait for the database: as long as its lease. Then it is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a process that stops may take to say that its jobs are free.
const FAREWELL: Duration = Duration::from_secs(1);

/// Works on imports until the process stops.
pub async fn work(products: ProductStore, stopping: CancellationToken) {
    let mut worker = Worker { products, name: Uuid::new_v4().to_string(), jobs: Vec::new(), has_worked: false };
    let mut fails = false;
    loop {
        let busy = match stopping.run_until_cancelled(worker.round()).await {
            None => break,
            Some(Ok(busy)) => {
                fails = false;
                busy
            }
            Some(Err(error)) => {
                // Said once while a database is away.
                if !std::mem::replace(&mut fails, true) {
                    warn!("could not look for imports to work on: {error}");
                }
                false
            }
        };
        if !busy {
            let asked = tokio::time::timeout(LOOK_PERIOD, worker.products.asked_for_work());
            if stopping.run_until_cancelled(asked).await.is_none() {
                break;
            }
        }
    }
    worker.leave().await;
}

/// The jobs that this process works on, in turn.
struct Worker {
    products: ProductStore,
    name: String,
    jobs: Vec<Job>,
    has_worked: bool,
}

impl Worker {
    /// Takes what is to be taken, does a piece of each job, and says whether there is more to do.
    async fn round(&mut self) -> Result<bool, Error> {
        while let Some(job) = self.products.claim_import(&self.name, soon()).await? {
            info!(import.id = job.id, "works on import {}, which is {}", job.id, job.state.as_str());
            // One that we had, and did not come to for so long that it could be claimed.
            self.jobs.retain(|known| known.id != job.id);
            self.jobs.push(job);
            self.has_worked = true;
        }
        let mut left = Vec::with_capacity(self.jobs.len());
        for job in std::mem::take(&mut self.jobs) {
            left.extend(self.piece(job).await);
        }
        self.jobs = left;
        Ok(!self.jobs.is_empty())
    }

    /// Does a piece of a job, and answers the job where there is more of it to do.
    async fn piece(&self, job: Job) -> Option<Job> {
        match self.products.work_on_import(&job, &self.name, soon()).await {
            Ok(next) if next.state.rests() => {
                tell(&next);
                None
            }
            Ok(next) => Some(next),
            Err(error @ (Error::ImportState { .. } | Error::ImportRunning | Error::ImportNotFound { .. })) => {
                debug!(import.id = job.id, "leaves import {}: {error}", job.id);
                None
            }
            // Its lease ends, and then whoever looks first tries again.
            Err(error) => {
                warn!(import.id = job.id, "could not go on with import {}: {error}", job.id);
                None
            }
        }
    }

    /// Leaves to others what it had. A piece in whose midst the process stopped is not done.
    async fn leave(&self) {
        if !self.has_worked {
            return;
        }
        let soon = Instant::now() + FAREWELL;
        if let Err(error) = self.products.release_imports(&self.name, soon).await {
            debug!("leaves its imports to others once their leases end: {error}");
        }
    }
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn tell(job: &Job) {
    let (id, counts) = (job.id, job.counts);
    match job.state {
        State::Undone => info!(
            import.id = id,
            "undid import {id}: took back {} products, left {} alone", counts.undone, counts.conflicts
        ),
        _ => info!(
            import.id = id,
            "applied import {id}: {} created, {} changed, {} unchanged, {} refused",
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.refused
        ),
    }
}
