//! Tasks with an owner: dropped with it, named in the log.

use tokio_util::sync::{CancellationToken, DropGuard};

/// Owns background tasks; dropping it ends them at their next await.
#[derive(Debug)]
pub(crate) struct Tasks {
    token: CancellationToken,
    _guard: DropGuard,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        let token = CancellationToken::new();
        Self { _guard: token.clone().drop_guard(), token }
    }

    /// Runs `work` until it ends or its owner is dropped.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        detach(name, until(self.token.clone(), work));
    }
}

/// Runs `work` until it ends or `token` is cancelled.
pub(crate) async fn until(token: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = token.cancelled() => {}
        () = work => {}
    }
}

/// Runs `work` to its own end.
#[expect(clippy::disallowed_methods, reason = "the mesh is where tasks are named and owned")]
pub(crate) fn detach<F: Future<Output: Send> + Send + 'static>(
    name: &'static str,
    work: F,
) -> tokio::task::JoinHandle<F::Output> {
    tracing::trace!("task {name} begins");
    tokio::spawn(work)
}
