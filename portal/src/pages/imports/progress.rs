//! An import as it goes: a piece of HTML for each state of it, of which a browser shows the newest.
//!
//! The last piece is what came of it. A catalogue that goes away meanwhile is waited for:
//! the import goes on at another instance, and so does this.

use std::time::Duration;

use askama::Template;
use futures_util::{Stream, stream};
use mesh::Call;
use proto::products::{WatchImportJobRequest, WatchImportJobResponse};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::warn;

use crate::{
    backends::Backends,
    job::Job,
    live,
    pages::imports::outcome::{Asked, Outcome, tally},
};

/// How long a page goes on; then it offers to be opened again.
const LENGTH: Duration = Duration::from_secs(600);

/// Pieces are at least so far apart: faster than this nobody reads.
const PACE: Duration = Duration::from_millis(400);

/// How long an import stands still until that is worth a word. The contract repeats itself after 30 seconds.
const STILL: Duration = Duration::from_secs(25);

/// How long a catalogue that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked for.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Template)]
#[template(path = "import-step.html")]
struct Step<'a> {
    job: &'a Job,
    tally: Vec<(&'static str, String, &'static str)>,
    did: u64,
    all: Option<u64>,
    /// Rows a second, once they can be told.
    rate: Option<u64>,
    /// Whether nothing moves.
    is_still: bool,
}

#[derive(Template)]
#[template(path = "import-ended.html")]
struct Ended<'a> {
    job: &'a Job,
    why: &'static str,
}

#[derive(Template)]
#[template(path = "import-outcome.html")]
struct Last<'a> {
    outcome: &'a Outcome,
    may_edit: bool,
}

/// An import that somebody looks at.
pub(super) struct Watching {
    backends: Backends,
    call: Call,
    stop: CancellationToken,
    watch: Option<Streaming<WatchImportJobResponse>>,
    asked: Asked,
    /// Whether who looks at it may take the next step.
    may_edit: bool,
    job: Job,
    end: Instant,
    /// When it was seen first, with how much done, for its rate.
    begun: (Instant, u64),
    moved: Instant,
    is_over: bool,
}

/// What comes next.
enum Next {
    Job(Job),
    Broke(Status),
    Late,
    Stopping,
}

impl Watching {
    pub(super) fn new(
        (backends, call, stop): (Backends, Call, CancellationToken),
        watch: Streaming<WatchImportJobResponse>,
        (asked, may_edit): (Asked, bool),
        job: Job,
    ) -> Watching {
        let now = Instant::now();
        let begun = (now, job.progress().0);
        let (watch, end) = (Some(watch), now + LENGTH);
        Watching { backends, call, stop, watch, asked, may_edit, job, end, begun, moved: now, is_over: false }
    }

    /// The pieces of its page.
    pub(super) fn pieces(self) -> impl Stream<Item = String> + Send + 'static {
        stream::unfold(self, async |mut watching| {
            if watching.is_over {
                return None;
            }
            let piece = watching.piece().await;
            Some((piece, watching))
        })
    }

    async fn piece(&mut self) -> String {
        match self.next().await {
            Next::Job(job) if job.rests() => self.last(job).await,
            Next::Job(job) => {
                if job.progress() != self.job.progress() {
                    self.moved = Instant::now();
                }
                self.job = job;
                live::piece(&self.step())
            }
            Next::Broke(status) => {
                warn!("lost sight of import {}: {}", self.job.id, status.message());
                self.ended("The product catalogue is not answering right now. The import goes on by itself.")
            }
            Next::Late => self.ended("This page was open for ten minutes. The import goes on."),
            Next::Stopping => self.ended("The portal stops. The import goes on without it."),
        }
    }

    async fn next(&mut self) -> Next {
        let (stop, end) = (self.stop.clone(), self.end);
        tokio::select! {
            () = stop.cancelled() => Next::Stopping,
            () = sleep_until(end) => Next::Late,
            job = self.job_or_fault() => job.map_or_else(Next::Broke, Next::Job),
        }
    }

    /// The next state; of several within the pace the last.
    async fn job_or_fault(&mut self) -> Result<Job, Status> {
        let mut job = self.one().await?;
        let pace = Instant::now() + PACE;
        while !job.rests() {
            match timeout_at(pace, self.one()).await {
                Ok(later) => job = later?,
                Err(_) => break,
            }
        }
        Ok(job)
    }

    /// One message, however often the stream must be opened for it.
    async fn one(&mut self) -> Result<Job, Status> {
        let begun = Instant::now();
        loop {
            let broke = match self.message().await {
                Ok(Some(job)) => return Ok(job),
                Ok(None) => Status::unavailable("the stream ended"),
                Err(status) => status,
            };
            self.watch = None;
            if begun.elapsed() > PATIENCE {
                return Err(broke);
            }
            sleep(PAUSE).await;
        }
    }

    async fn message(&mut self) -> Result<Option<Job>, Status> {
        if self.watch.is_none() {
            let request = WatchImportJobRequest { id: self.job.id };
            self.watch = Some(self.call.clone().scope(self.backends.watch_import(request)).await?);
        }
        let Some(watch) = &mut self.watch else { return Ok(None) };
        Ok(watch.message().await?.and_then(|message| message.job).map(Job::from))
    }

    fn step(&self) -> Step<'_> {
        let (did, all) = self.job.progress();
        let (since, before) = self.begun;
        let seconds = since.elapsed().as_secs_f64();
        // Whole rows are exact enough.
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a rate for people")]
        let rate =
            (seconds > 1.0).then(|| (did.saturating_sub(before) as f64 / seconds) as u64).filter(|rate| *rate > 0);
        let is_still = self.moved.elapsed() > STILL;
        Step { job: &self.job, tally: tally(&self.job), did, all, rate: rate.filter(|_| !is_still), is_still }
    }

    async fn last(&mut self, job: Job) -> String {
        self.is_over = true;
        let outcome = self.call.clone().scope(Outcome::of(&self.backends, job.clone(), &self.asked)).await;
        match outcome {
            Ok(outcome) => live::piece(&Last { outcome: &outcome, may_edit: self.may_edit }),
            Err(failure) => {
                warn!("could not show what came of import {}: {failure}", job.id);
                self.job = job;
                self.ended("It has ended. What came of it cannot be shown right now.")
            }
        }
    }

    fn ended(&mut self, why: &'static str) -> String {
        self.is_over = true;
        live::piece(&Ended { job: &self.job, why })
    }
}
