//! What tells a process to stop: SIGINT, SIGTERM, or the end of standard input.

use std::io::Read as _;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Waits for the next reason to stop.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Whoever started this process holds the other end; it ends however that process ends.
    input_ended: Option<oneshot::Receiver<()>>,
}

impl Signals {
    pub(super) fn listen(stop_on_eof: bool) -> std::io::Result<Self> {
        let input_ended = if stop_on_eof { Some(watch_input()?) } else { None };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            input_ended,
        })
    }

    pub(super) async fn next(&mut self) {
        let input_ended = async {
            match &mut self.input_ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        let by_input = tokio::select! {
            _ = self.interrupt.recv() => false,
            _ = self.terminate.recv() => false,
            () = input_ended => true,
        };
        if by_input {
            self.input_ended = None;
        }
    }
}

/// Resolves at Ctrl-C: for client subcommands that follow something until they are told to end.
pub async fn interrupted() {
    match signal(SignalKind::interrupt()) {
        Ok(mut interrupt) => drop(interrupt.recv().await),
        // Then the signal ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}

/// Reads standard input to its end on a thread of its own: a blocking read has no other home.
fn watch_input() -> std::io::Result<oneshot::Receiver<()>> {
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name("standard input".to_owned()).spawn(move || {
        let mut bytes = [0; 64];
        while matches!(std::io::stdin().read(&mut bytes), Ok(1..)) {}
        drop(end);
    })?;
    Ok(ended)
}
