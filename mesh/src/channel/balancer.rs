//! Which connection takes the next call: the less busy of two, picked at random.
//!
//! Only open connections are in the set, so a dead instance costs nothing.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::channel::connection::Connection;

/// The open connections of a channel.
#[derive(Debug, Default)]
pub(crate) struct Balancer {
    open: RwLock<Vec<Arc<Connection>>>,
    opened: Notify,
    /// Why the last attempt to connect failed, for the words of a refusal.
    trouble: Mutex<Option<String>>,
}

impl Balancer {
    pub(crate) fn add(&self, connection: Arc<Connection>) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).push(connection);
        self.opened.notify_waiters();
    }

    pub(crate) fn remove(&self, gone: &Arc<Connection>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| !Arc::ptr_eq(connection, gone));
    }

    /// Notes why a connection could not be opened.
    pub(crate) fn note(&self, trouble: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection for the next call, if any is open.
    pub(crate) fn pick(&self) -> Option<Arc<Connection>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let candidate = |n: usize| open.get(n).filter(|connection| connection.is_open());
        let picked = match open.len() {
            0 => None,
            1 => candidate(0),
            len => {
                let first = fastrand::usize(..len);
                // Any other one: one of the remaining, shifted past the first.
                let second = (first + fastrand::usize(1..len)) % len;
                match (candidate(first), candidate(second)) {
                    (Some(a), Some(b)) => Some(if b.in_flight() < a.in_flight() { b } else { a }),
                    (a, b) => a.or(b).or_else(|| open.iter().find(|connection| connection.is_open())),
                }
            }
        };
        picked.cloned()
    }

    /// Waits until a connection is open.
    pub(crate) async fn picked(&self) -> Arc<Connection> {
        loop {
            let opened = self.opened.notified();
            tokio::pin!(opened);
            // Before looking, so that a connection that opens in between is not missed.
            opened.as_mut().enable();
            if let Some(connection) = self.pick() {
                return connection;
            }
            opened.await;
        }
    }
}
