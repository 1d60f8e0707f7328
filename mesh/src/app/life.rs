//! The life of a process: ordered start, reversed stop, both bounded in time.
//!
//! A start that fails, hangs or is called off stops what had started, newest first,
//! and says so in a sentence.

use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::App;
use super::signals::Signals;
use crate::config::Settings;
use crate::identity::Identity;
use crate::logging::Logging;

/// What starting may take, all steps together but those that are prepared; with what does not wait it is milliseconds.
const START_BUDGET: Duration = Duration::from_secs(15);

/// What one stop step may take.
const STEP_BUDGET: Duration = Duration::from_secs(5);

/// What all stop steps together may take.
const STOP_BUDGET: Duration = Duration::from_secs(15);

/// The exit code of a process that a second signal ended at once: 128 + SIGINT.
const ENDED_AT_ONCE: u8 = 130;

/// Runs a service until a signal: wires it, waits, stops it in reverse.
///
/// The first SIGINT or SIGTERM stops in order, a second one at once; one that comes
/// during the start calls it off. Exit code 0 is a clean stop, 1 a start that failed
/// or took longer than 15 s without what was [prepared](App::prepare), 130 an end at once.
#[expect(clippy::print_stderr, reason = "a process that cannot start its runtime has no other way to say so")]
pub fn run<C, W>(service: &'static str, config: C, wire: W) -> ExitCode
where
    C: Settings,
    W: AsyncFnOnce(&mut App, C) -> anyhow::Result<()>,
{
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("could not start {service}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let logging = Logging::start(&config.mesh().log);
    let code = runtime.block_on(live(service, config, (&logging, wire)));
    // A blocking call that hangs must not keep a stopped process alive.
    runtime.shutdown_background();
    logging.flush();
    code
}

async fn live<C, W>(service: &'static str, config: C, (logging, wire): (&Logging, W)) -> ExitCode
where
    C: Settings,
    W: AsyncFnOnce(&mut App, C) -> anyhow::Result<()>,
{
    let identity = Identity::new(service, config.version());
    let mut app = App::new(identity, config.mesh().clone(), logging);
    let mut signals = match Signals::listen(app.config.stop_on_eof) {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!("could not start {service}: no signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let start = app.begin(config, wire, signals.next()).await;
    let code = match &start {
        Start::Up => {
            tracing::info!("{} is up", app.identity());
            let broken = app.broken.clone();
            let code = tokio::select! {
                () = signals.next() => ExitCode::SUCCESS,
                () = broken.cancelled() => ExitCode::FAILURE,
            };
            tracing::info!("stopping");
            code
        }
        Start::CalledOff => {
            tracing::info!("told to stop during the start{}", app.undoing());
            ExitCode::SUCCESS
        }
        Start::Failed(why) => {
            tracing::error!("could not start {service}: {why}{}", app.undoing());
            ExitCode::FAILURE
        }
    };
    tokio::select! {
        () = app.stop(matches!(start, Start::Up)) => code,
        () = signals.next() => ExitCode::from(ENDED_AT_ONCE),
    }
}

/// What came of a start.
#[derive(Debug)]
pub(super) enum Start {
    /// It runs.
    Up,
    /// Somebody wanted it to stop before it was up.
    CalledOff,
    /// Which step failed, and why.
    Failed(String),
}

/// Waits until a start has taken all that it may; what is prepared does not count.
async fn late(mut preparing: watch::Receiver<bool>) {
    let mut left = START_BUDGET;
    loop {
        drop(preparing.wait_for(|preparing| !preparing).await);
        let began = Instant::now();
        match tokio::time::timeout(left, preparing.wait_for(|preparing| *preparing)).await {
            Ok(_) => left = left.saturating_sub(began.elapsed()),
            Err(_) => return,
        }
    }
}

impl App {
    /// Wires a service, unless it is called off or takes too long.
    pub(super) async fn begin<C, W>(&mut self, config: C, wire: W, called_off: impl Future<Output = ()>) -> Start
    where
        W: AsyncFnOnce(&mut App, C) -> anyhow::Result<()>,
    {
        let late = late(self.preparing.subscribe());
        let wired = async {
            self.take_certificates()?;
            self.export_spans()?;
            wire(self, config).await
        };
        let wired = tokio::select! {
            wired = wired => Some(wired),
            () = late => None,
            () = called_off => return Start::CalledOff,
        };
        let step = self.starting.map(|step| format!("the step \"{step}\" "));
        match wired {
            Some(Ok(())) => Start::Up,
            Some(Err(error)) => Start::Failed(match step {
                Some(step) => format!("{step}failed: {error:#}"),
                None => format!("{error:#}"),
            }),
            None => {
                let step = step.unwrap_or_else(|| "it ".to_owned());
                Start::Failed(format!("{step}did not end within {START_BUDGET:?}"))
            }
        }
    }

    /// What a start that did not work out undoes, as the end of a sentence.
    fn undoing(&self) -> String {
        let names: Vec<&str> = self.steps.iter().rev().map(|step| step.name).collect();
        if names.is_empty() { String::new() } else { format!("; undoing: {}", names.join(", ")) }
    }

    /// Runs the stop steps in reverse, each within its budget and all within theirs.
    ///
    /// After a failed start only its cause is said: what could not be undone cleanly follows from it.
    pub(super) async fn stop(self, was_up: bool) {
        let end = Instant::now() + STOP_BUDGET;
        for step in self.steps.into_iter().rev() {
            let (name, started) = (step.name, Instant::now());
            let budget = STEP_BUDGET.min(end.saturating_duration_since(started));
            match tokio::time::timeout(budget, step.stop).await {
                Ok(Ok(())) => {
                    let elapsed = started.elapsed();
                    let elapsed_ms = elapsed.as_secs_f64() * 1e3;
                    tracing::debug!(step = name, elapsed_ms, "stopped {name} in {elapsed:.1?}");
                }
                Ok(Err(error)) if !was_up => tracing::debug!(step = name, "could not stop {name} cleanly: {error:#}"),
                Ok(Err(error)) => tracing::warn!(step = name, "could not stop {name} cleanly: {error:#}"),
                Err(_) => tracing::warn!(step = name, "gave up stopping {name} after {budget:?}"),
            }
        }
    }
}
