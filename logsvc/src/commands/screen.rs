//! Where answers go: lines on standard output for people or as JSON, notices beside them.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Whoever read our output has seen enough.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads any more")]
pub(super) struct Closed;

/// Standard output, as it was asked for.
#[derive(Debug)]
pub(super) struct Screen {
    json: bool,
    coloured: bool,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Self { json, coloured }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Prints lines, each with its end.
    pub(super) fn print(&self, lines: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
            written => written.context("could not write the answer"),
        }
    }

    /// Tells a person something that is no part of the answer.
    pub(super) fn notice(&self, text: &str) {
        // Nobody may be reading it.
        let _ = writeln!(std::io::stderr(), "{text}").ok();
    }
}

/// Resolves when nobody reads standard output any more: whoever follows may have nothing to write for hours.
#[expect(deprecated, reason = "unsound for descriptors that are closed meanwhile; this one never is")]
pub(super) async fn closed() {
    // A file is never closed by who reads it, and cannot be waited for.
    let Ok(out) = AsyncFd::with_interest(std::io::stdout(), Interest::ERROR) else {
        return std::future::pending().await;
    };
    if out.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}
