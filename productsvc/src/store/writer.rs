//! Writes of many callers, committed together.
//!
//! The disk is what a write waits for, and it takes as long for a hundred of them. So
//! what came while one transaction was committed makes up the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::product::Product;
use crate::store::database::Database;
use crate::store::group::{Group, Member};
use crate::store::requests::RequestKey;
use crate::write::Write;

/// What comes of a write.
pub(super) type Answer = Result<Vec<Product>, Error>;

/// Steps that are committed together at most: enough that the disk's share of each is
/// small, few enough that the last one does not wait long for the first.
const MOST_STEPS: usize = 512;

/// Writes that wait at most; who comes then waits for a place.
const CAPACITY: usize = 1024;

/// How long a group may take that nobody waits for any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where writes are handed in. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    closing: CancellationToken,
}

/// A write, and who waits for it.
#[derive(Debug)]
struct Waiting {
    member: Member,
    deadline: Instant,
    answer: oneshot::Sender<Answer>,
}

impl Writer {
    /// Starts to commit what is handed in, until the writer is closed or dropped.
    pub(super) fn start(database: Database, changed: watch::Sender<()>) -> Self {
        let (queue, waiting) = mpsc::channel(CAPACITY);
        let closing = CancellationToken::new();
        let task = mesh::spawn("product writer", commit_all(database, changed, waiting, closing.clone()));
        Self { queue, task: Arc::new(Mutex::new(Some(task))), closing }
    }

    /// Does a write once for its key, and answers when it is on disk.
    ///
    /// Who stops waiting before it is begun leaves nothing behind; afterwards it is done.
    pub(super) async fn write(&self, write: Write, key: Option<RequestKey>, deadline: Instant) -> Answer {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { member: Member { write, key }, deadline, answer };
        let handed = async {
            self.queue.send(waiting).await.map_err(|_| Error::Stopping)?;
            answered.await.map_err(|_| Error::Stopping)?
        };
        tokio::time::timeout_at(deadline, handed).await.unwrap_or(Err(Error::DatabaseBusy))
    }

    /// Commits what was handed in, and takes nothing more.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ended = task.await;
        }
    }
}

async fn commit_all(
    database: Database,
    changed: watch::Sender<()>,
    mut waiting: mpsc::Receiver<Waiting>,
    closing: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            first = waiting.recv() => first,
            () = closing.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        let Some(first) = first else { return };
        let mut steps = first.member.write.steps.len();
        let mut group = vec![first];
        while steps < MOST_STEPS
            && let Ok(next) = waiting.try_recv()
        {
            steps += next.member.write.steps.len();
            group.push(next);
        }
        commit(&database, group).await;
        changed.send_replace(());
    }
}

/// Commits a group, and what it cannot commit together one by one: what spoils a
/// transaction must not spoil those of others.
async fn commit(database: &Database, group: Vec<Waiting>) {
    let mut group: Vec<Waiting> = group.into_iter().filter(|waiting| !waiting.answer.is_closed()).collect();
    let Some(deadline) = group.iter().map(|waiting| waiting.deadline).max() else { return };
    let deadline = deadline.min(Instant::now() + PATIENCE);
    let answers = {
        let members: Vec<&Member> = group.iter().map(|waiting| &waiting.member).collect();
        database.write(&Group { members: &members, now: super::now() }, deadline).await
    };
    match answers {
        Ok(answers) => {
            for (waiting, answer) in group.into_iter().zip(answers) {
                // Who went away is answered when the same request comes again.
                let _gone = waiting.answer.send(answer);
            }
        }
        Err(Error::Internal(_)) if group.len() > 1 => {
            for waiting in group {
                Box::pin(commit(database, vec![waiting])).await;
            }
        }
        Err(error) => {
            for waiting in group.drain(..) {
                let _gone = waiting.answer.send(Err(error.clone()));
            }
        }
    }
}
