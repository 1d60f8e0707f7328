//! Traffic: callers that do one thing again and again, and what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What callers saw.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Calls that were answered well.
    pub answered: u64,
    /// Calls that failed, with the words of the first few.
    pub failed: u64,
    /// What the first failures said.
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
        match call().await {
            Ok(()) => {
                outcome.answered += 1;
                outcome.latencies.push(began.elapsed());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                outcome.failed += 1;
                if outcome.failures.len() < 3 {
                    outcome.failures.push(format!("{error:#}"));
                }
            }
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    outcome
}
