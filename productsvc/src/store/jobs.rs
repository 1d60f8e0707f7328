//! Imports as the store offers them: tried first, in the background, stopped, undone.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::debug;

use crate::error::Error;
use crate::import::{Conflict, Job, Piece, Preview, State};
use crate::store::analysis::Analyze;
use crate::store::imports::{
    BeginCommit, BeginUndo, Cancel, Claim, CommitPiece, Expire, FindConflicts, FindJob, FindJobs, FindPreviews,
    FindWork, ForgetStaged, Lease, Release, Stage, UndoPiece, Which,
};
use crate::store::{MANY, ProductStore, RequestKey, now};
use crate::version::Author;

/// How long a job is left to whoever works on it. Each piece renews it; a piece takes
/// some ten milliseconds, and seconds where others write much.
const LEASE: SignedDuration = SignedDuration::from_secs(10);

impl ProductStore {
    /// Judges and keeps a piece of a dry run as the next after `job`, and answers the job
    /// as it is then: ready with `end`.
    pub async fn stage_piece(&self, job: &Job, piece: &Piece, end: bool, deadline: Instant) -> Result<Job, Error> {
        let job = self.database.write(&Stage { job, piece, end, now: now() }, deadline).await?;
        self.changed.send_replace(());
        Ok(job)
    }

    /// How the import went that began with a request.
    pub async fn find_import_of(&self, request_id: &str, deadline: Instant) -> Result<Job, Error> {
        self.database.read(&FindJob { which: Which::Request(request_id) }, deadline).await
    }

    /// Imports before one, the newest first.
    pub async fn imports(&self, before: i64, limit: usize, deadline: Instant) -> Result<Vec<Job>, Error> {
        self.database.read(&FindJobs { before, limit }, deadline).await
    }

    /// What rows of a dry run behind a line would change by now.
    pub async fn previews(&self, find: Previews, deadline: Instant) -> Result<Vec<Preview>, Error> {
        let Previews { id, after, limit, show_unchanged } = find;
        self.database.read(&FindPreviews { id, after, limit, show_unchanged, now: now() }, deadline).await
    }

    /// What the undoing of an import left alone, behind a product.
    pub async fn import_conflicts(
        &self,
        id: i64,
        after: i64,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Conflict>, Error> {
        self.database.read(&FindConflicts { id, after, limit }, deadline).await
    }

    /// Begins to apply a dry run; someone works on it from then on.
    pub async fn commit_import(
        &self,
        id: i64,
        key: Option<&RequestKey>,
        author: &Author,
        deadline: Instant,
    ) -> Result<Job, Error> {
        let job = self.database.write(&BeginCommit { id, key, author, now: now() }, deadline).await?;
        self.asked.notify_one();
        Ok(job)
    }

    /// Begins to take back what an import did; someone works on it from then on.
    pub async fn undo_import(
        &self,
        id: i64,
        key: Option<&RequestKey>,
        author: &Author,
        deadline: Instant,
    ) -> Result<Job, Error> {
        let job = self.database.write(&BeginUndo { id, key, author, now: now() }, deadline).await?;
        self.asked.notify_one();
        Ok(job)
    }

    /// Stops an import between two pieces.
    pub async fn cancel_import(&self, id: i64, deadline: Instant) -> Result<Job, Error> {
        let job = self.database.write(&Cancel { id, now: now() }, deadline).await?;
        self.changed.send_replace(());
        Ok(job)
    }

    /// Waits until this process is asked to apply or to undo an import. Others may be, too.
    pub async fn asked_for_work(&self) {
        self.asked.notified().await;
    }

    /// Takes over a job that is to be worked on and that nobody works on.
    pub async fn claim_import(&self, worker: &str, deadline: Instant) -> Result<Option<Job>, Error> {
        // Every instance looks every other second: who finds nothing writes nothing.
        match self.database.read(&FindWork { now: now() }, deadline).await? {
            Some(id) => self.database.write(&Claim { id, lease: lease(worker), now: now() }, deadline).await,
            None => Ok(None),
        }
    }

    /// Does the next piece of a job that this worker has, and answers the job as it is then.
    ///
    /// Fails with [`Error::ImportRunning`] when another one has it, and with
    /// [`Error::ImportState`] when it is stopped.
    pub async fn work_on_import(&self, job: &Job, worker: &str, deadline: Instant) -> Result<Job, Error> {
        self.wait_for_index(deadline).await?;
        let (lease, now) = (lease(worker), now());
        let next = match job.state {
            State::Undoing => self.database.write(&UndoPiece { job, lease, now }, deadline).await?,
            _ => self.database.write(&CommitPiece { job, lease, now }, deadline).await?,
        };
        self.changed.send_replace(());
        if next.state == State::Done {
            self.analyze(&next, deadline).await;
        }
        Ok(next)
    }

    /// Leaves the jobs of a worker to others.
    pub async fn release_imports(&self, worker: &str, deadline: Instant) -> Result<(), Error> {
        self.database.write(&Release { worker }, deadline).await
    }

    /// Has the database look at the products anew when an import brought many.
    pub(super) async fn analyze(&self, job: &Job, deadline: Instant) {
        if job.counts.created >= MANY {
            // The import is done, whatever becomes of this.
            let analyzed = self.database.read(&Analyze, deadline).await;
            analyzed.unwrap_or_else(|error| debug!("could not analyse the products: {error}"));
        }
    }

    /// Cancels imports that began before a moment and that nobody went on with, and says how many.
    pub async fn expire_imports(&self, before: Timestamp, deadline: Instant) -> Result<u64, Error> {
        self.database.write(&Expire { before, now: now() }, deadline).await
    }

    /// Forgets some rows of dry runs that were cancelled; 0 when there are none.
    pub async fn forget_staged(&self, deadline: Instant) -> Result<u64, Error> {
        self.database.write(&ForgetStaged, deadline).await
    }
}

/// Which part of what a dry run would change.
#[derive(Debug, Clone, Copy)]
pub struct Previews {
    /// The import.
    pub id: i64,
    /// Behind which line.
    pub after: i64,
    /// How many rows at most.
    pub limit: usize,
    /// Also rows that changed nothing when they came.
    pub show_unchanged: bool,
}

fn lease(worker: &str) -> Lease<'_> {
    Lease { worker, expiry: now() + LEASE }
}
