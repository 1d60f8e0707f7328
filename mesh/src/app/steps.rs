//! What a process starts and stops, one thing after the other, each under its name.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::task;

/// How often the log says that a long step goes on.
const STILL_AT_IT: Duration = Duration::from_secs(10);

/// What is done when the process stops.
pub(super) struct StopStep {
    pub(super) name: &'static str,
    pub(super) stop: BoxFuture<'static, anyhow::Result<()>>,
}

impl std::fmt::Debug for StopStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl App {
    /// Waits for something that starts, under a name: it is timed, and named when it fails or hangs.
    pub async fn start<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        self.starting = Some(name);
        let done = work.await?;
        self.starting = None;
        Ok(done)
    }

    /// Waits for something that takes as long as there is to do, such as a migration of much data.
    ///
    /// As [`App::start`], but what it takes does not count as part of the start, which is bounded;
    /// the log says every ten seconds that it goes on. Whatever it waits for that may not come is its
    /// own to bound.
    pub async fn prepare<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        self.preparing.send_replace(true);
        let told = async {
            let mut work = pin!(work);
            loop {
                match tokio::time::timeout(STILL_AT_IT, &mut work).await {
                    Ok(done) => return done,
                    Err(_) => tracing::info!("the step \"{name}\" goes on after {} s", began.elapsed().as_secs()),
                }
            }
        };
        let done = self.start(name, told).await;
        self.preparing.send_replace(false);
        done
    }

    /// Records what to do when the process stops. Steps run in reverse, each bounded in time.
    pub fn on_stop(&mut self, name: &'static str, stop: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.started(name);
        self.steps.push(StopStep { name, stop: Box::pin(stop) });
    }

    /// Starts a task that ends on its token; stopping waits for it.
    pub fn spawn<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = CancellationToken::new();
        let running = task::detach(name, task(token.clone()));
        self.on_stop(name, async move {
            token.cancel();
            Ok(running.await?)
        });
    }

    pub(super) fn started(&mut self, name: &'static str) {
        self.starting = None;
        let elapsed = std::mem::replace(&mut self.last_step, Instant::now()).elapsed();
        self.about.graph.step(name, elapsed);
        tracing::debug!(step = name, elapsed_ms = elapsed.as_secs_f64() * 1e3, "started {name} in {elapsed:.1?}");
    }
}
