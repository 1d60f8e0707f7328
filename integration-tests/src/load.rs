//! Traffic: callers that do one thing again and again, calls that come at a fixed rate, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};

/// Of calls that come at a fixed rate so many may wait for an answer; another one fails.
const MOST_WAITING: u32 = 20_000;

/// What callers saw.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Calls that were answered well.
    pub answered: u64,
    /// Calls that failed, those that were refused included.
    pub failed: u64,
    /// Calls that were refused: RESOURCE_EXHAUSTED.
    pub refused: u64,
    /// What the first failures said, refusals left out.
    pub failures: Vec<String>,
    /// How long each answered call took, sorted.
    pub latencies: Vec<Duration>,
    /// How long the whole took.
    pub elapsed: Duration,
}

impl Outcome {
    /// Answered calls a second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency below which this share of the calls stayed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }

    fn note(&mut self, began: Instant, answer: anyhow::Result<()>) {
        match answer {
            Ok(()) => {
                self.answered += 1;
                self.latencies.push(began.elapsed());
            }
            Err(error) => {
                self.failed += 1;
                let code = error.downcast_ref::<Status>().map(Status::code);
                if code == Some(Code::ResourceExhausted) {
                    self.refused += 1;
                } else if self.failures.len() < 3 {
                    self.failures.push(format!("{error:#}"));
                }
            }
        }
    }
}

/// Calls that go on until they are ended.
#[derive(Debug)]
pub struct Traffic {
    stop: CancellationToken,
    callers: Vec<tokio::task::JoinHandle<Outcome>>,
    answered: Arc<AtomicU64>,
    started: Instant,
}

impl Traffic {
    /// Starts `callers` that each make one call after another, waiting `pause` in between.
    pub fn start<F>(callers: usize, pause: Duration, call: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let (stop, answered, call) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)), Arc::new(call));
        let callers = (0..callers)
            .map(|_| {
                let (stop, answered, call) = (stop.clone(), answered.clone(), call.clone());
                mesh::spawn("caller", async move { repeat(&*call, pause, &stop, &answered).await })
            })
            .collect();
        Self { stop, callers, answered, started: Instant::now() }
    }

    /// Calls that were answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it and answers what came of it.
    pub async fn end(self) -> Outcome {
        self.stop.cancel();
        let elapsed = self.started.elapsed();
        let mut whole = Outcome { elapsed, ..Outcome::default() };
        for caller in self.callers {
            let Ok(outcome) = caller.await else { continue };
            whole.answered += outcome.answered;
            whole.failed += outcome.failed;
            whole.refused += outcome.refused;
            whole.failures.extend(outcome.failures);
            whole.latencies.extend(outcome.latencies);
        }
        whole.latencies.sort_unstable();
        whole
    }
}

async fn repeat<F>(
    call: &(impl Fn() -> F + Sync),
    pause: Duration,
    stop: &CancellationToken,
    answered: &AtomicU64,
) -> Outcome
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut outcome = Outcome::default();
    while !stop.is_cancelled() {
        let began = Instant::now();
        let answer = call().await;
        answered.fetch_add(u64::from(answer.is_ok()), Ordering::Relaxed);
        outcome.note(began, answer);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    outcome
}

/// Calls that begin at a fixed rate, whatever became of those before, until they are ended.
///
/// What a call took counts from when it should have begun, so that nobody is let off
/// because the one before was slow.
#[derive(Debug)]
pub struct Arrivals {
    stop: DropGuard,
    pacing: tokio::task::JoinHandle<()>,
    places: Arc<Semaphore>,
    outcome: Arc<Mutex<Outcome>>,
    started: Instant,
}

impl Arrivals {
    /// Begins so many calls a second.
    pub fn start<F>(per_s: f64, call: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (stop, outcome) = (CancellationToken::new(), Arc::new(Mutex::new(Outcome::default())));
        let (places, started) = (Arc::new(Semaphore::new(MOST_WAITING as usize)), Instant::now());
        let (stopped, waiting, noted) = (stop.clone(), places.clone(), outcome.clone());
        // A thread, because the timers of tokio know milliseconds only.
        let pacing = tokio::task::spawn_blocking(move || {
            for n in 0_u64.. {
                let due = started + Duration::from_secs_f64(n as f64 / per_s);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if stopped.is_cancelled() {
                    break;
                }
                let Ok(place) = waiting.clone().try_acquire_owned() else {
                    lock(&noted).note(due, Err(anyhow::anyhow!("{MOST_WAITING} calls wait already")));
                    continue;
                };
                let (answer, noted) = (call(), noted.clone());
                mesh::spawn("arrival", async move {
                    let answer = answer.await;
                    lock(&noted).note(due, answer);
                    drop(place);
                });
            }
        });
        Self { stop: stop.drop_guard(), pacing, places, outcome, started }
    }

    /// Ends it, waits for the last answers and says what came of all.
    pub async fn end(self) -> Outcome {
        drop(self.stop);
        let elapsed = self.started.elapsed();
        // Neither fails: nobody panics there, and nobody closes the semaphore.
        let _paced = self.pacing.await;
        let _answered = self.places.acquire_many(MOST_WAITING).await;
        let mut outcome = std::mem::take(&mut *lock(&self.outcome));
        outcome.elapsed = elapsed;
        outcome.latencies.sort_unstable();
        outcome
    }
}

fn lock(outcome: &Mutex<Outcome>) -> MutexGuard<'_, Outcome> {
    outcome.lock().unwrap_or_else(PoisonError::into_inner)
}
