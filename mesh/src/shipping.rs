//! Ships the outbox to the log service, from a thread and runtime of its own.
//!
//! The thread has no subscriber, so that shipping never feeds on its own events; it
//! finds the log service by its own discovery, for the same reason. No request waits
//! for it: while the log service is away, records wait in the spool, and then in the
//! bounded outbox. Read `worker` for when something is shipped, `backlog` for what.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::dispatcher;

mod voice;
mod part;
mod backlog;
mod flight;
mod worker;
#[cfg(test)]
mod tests;

use crate::config::SpoolAt;
use crate::identity::Identity;
use crate::levels::Levels;
use crate::outbox::Outbox;
use voice::Voice;
use worker::Worker;

/// The log service's name.
pub(crate) const LOGSVC: &str = "logsvc";

/// A shipment that is not acknowledged in this time is sent again.
const SHIP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long stopping tries to ship the last records.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the shipper works with.
pub(crate) struct Shipping {
    pub(crate) identity: Identity,
    /// Makes the channel to the log service, on the shipper's own thread.
    pub(crate) join: Join,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) levels: Option<Levels>,
    pub(crate) spool: Option<SpoolAt>,
}

/// Finds the log service.
pub(crate) type Join = Box<dyn FnOnce(Identity) -> crate::Channel + Send>;

/// What a shipper left behind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Not acknowledged.
    pub(crate) records: u64,
    /// Whether all of them are in the spool.
    pub(crate) spooled: bool,
}

/// The shipping thread.
#[derive(Debug)]
pub(crate) struct Shipper {
    stop: CancellationToken,
    ended: oneshot::Receiver<Left>,
}

impl Shipper {
    /// Starts the thread. It waits for nothing: also the spool is opened there.
    pub(crate) fn start(shipping: Shipping) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let (end, ended) = oneshot::channel();
        let token = stop.clone();
        std::thread::Builder::new().name("log shipper".to_owned()).spawn(move || {
            let voice = Voice::of_process();
            // Declared before the runtime, so that it outlives it: dropping connections says things too.
            let _quiet = dispatcher::set_default(&crate::silent::dispatch());
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            let left = runtime.block_on(async { Worker::new(shipping, voice).work(token).await });
            // A name that is still being resolved is not waited for.
            runtime.shutdown_background();
            // Nobody waits for it when the process was told to end at once.
            let _nobody = end.send(left);
        })?;
        Ok(Self { stop, ended })
    }

    /// Ships what is left, in two seconds at most; what stays behind is in the spool, if there is one.
    pub(crate) async fn stop(self) -> Left {
        self.stop.cancel();
        self.ended.await.unwrap_or_default()
    }
}
