//! Which connection takes the next call: the less busy of two, picked at random, and
//! suspects last.
//!
//! Only open connections are in the set, so a dead instance costs nothing.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::channel::connection::Connection;
use crate::picture::Rank;

/// The open connections of a channel.
#[derive(Debug)]
pub(crate) struct Balancer {
    policy: Policy,
    open: RwLock<Vec<Arc<Connection>>>,
    opened: Notify,
    /// Why the last attempt to connect failed, for the words of a refusal.
    trouble: Mutex<Option<String>>,
}

/// Who gets the next call.
#[derive(Debug)]
pub(crate) enum Policy {
    /// Of two instances, the one with less to do.
    LessBusy,
    /// Always the same one while it is open: what is said to one registry node is not known to another.
    Sticky(Mutex<Home>),
}

/// The address that calls go to, and the order in which others stand in for it.
#[derive(Debug, Default)]
pub(crate) struct Home {
    address: Option<String>,
    order: Vec<String>,
}

impl Policy {
    /// One of these addresses, the first that is open to begin with.
    pub(crate) fn sticky(order: &[String]) -> Self {
        Self::Sticky(Mutex::new(Home { address: None, order: order.to_vec() }))
    }
}

impl Home {
    fn pick<'a>(&mut self, open: &'a [Arc<Connection>]) -> Option<&'a Arc<Connection>> {
        let at = |address: &String| open.iter().find(|open| open.address() == address && open.rank().is_some());
        if let Some(connection) = self.address.as_ref().and_then(at) {
            return Some(connection);
        }
        let other = self.order.iter().find_map(at)?;
        self.address = Some(other.address().to_owned());
        Some(other)
    }
}

/// The less busy of two at random; suspects only when nobody else is open.
fn less_busy(open: &[Arc<Connection>]) -> Option<&Arc<Connection>> {
    let candidate = |n: usize| open.get(n).filter(|connection| connection.rank() == Some(Rank::Ready));
    let picked = match open.len() {
        0 => None,
        1 => candidate(0),
        len => {
            let first = fastrand::usize(..len);
            // Any other one: one of the remaining, shifted past the first.
            let second = (first + fastrand::usize(1..len)) % len;
            match (candidate(first), candidate(second)) {
                (Some(a), Some(b)) => Some(if b.in_flight() < a.in_flight() { b } else { a }),
                (a, b) => a.or(b),
            }
        }
    };
    picked.or_else(|| {
        let ranked = open.iter().filter_map(|connection| Some((connection.rank()?, connection)));
        ranked.min_by_key(|(rank, connection)| (*rank, connection.in_flight())).map(|(_, connection)| connection)
    })
}

impl Balancer {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, open: RwLock::default(), opened: Notify::new(), trouble: Mutex::default() }
    }

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
        match &self.policy {
            Policy::LessBusy => less_busy(&open).cloned(),
            Policy::Sticky(home) => {
                let mut home = home.lock().unwrap_or_else(PoisonError::into_inner);
                home.pick(&open).cloned()
            }
        }
    }

    /// Makes `address` the one that calls go to while it is open, if calls go to one only.
    pub(crate) fn prefer(&self, address: &str) {
        if let Policy::Sticky(home) = &self.policy {
            home.lock().unwrap_or_else(PoisonError::into_inner).address = Some(address.to_owned());
        }
    }

    /// Waits until a connection to `address` is open.
    pub(crate) async fn connected(&self, address: &str) {
        loop {
            let opened = self.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner).iter().any(|c| c.address() == address);
            if open {
                return;
            }
            opened.await;
        }
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

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::net::TcpListener;

    use super::*;
    use crate::channel::standing::Standing;
    use crate::task::Tasks;

    /// A connection to a server that answers nothing, and its standing.
    async fn connection(tasks: &Tasks, rank: Rank) -> (Arc<Connection>, Arc<Standing>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tasks.spawn("server", async move {
            let (stream, _) = listener.accept().await.unwrap();
            let silent = hyper::service::service_fn(async |_| {
                std::future::pending::<Result<http::Response<Empty<bytes::Bytes>>, std::io::Error>>().await
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ended = server.serve_connection(TokioIo::new(stream), silent).await;
        });
        let standing = Arc::new(Standing::new(rank));
        let (connection, driver) = Connection::open(&address, standing.clone()).await.unwrap();
        tasks.spawn("driver", driver);
        (Arc::new(connection), standing)
    }

    #[tokio::test]
    async fn suspects_are_picked_last_and_who_rests_never() {
        let tasks = Tasks::new();
        let (ready, standing) = connection(&tasks, Rank::Ready).await;
        let (suspect, _) = connection(&tasks, Rank::Suspect).await;
        let (resting, _) = connection(&tasks, Rank::Resting).await;
        let balancer = Balancer::new(Policy::LessBusy);
        [&ready, &suspect, &resting].into_iter().for_each(|connection| balancer.add(connection.clone()));

        assert!((0..100).all(|_| Arc::ptr_eq(&balancer.pick().unwrap(), &ready)));
        standing.set(Rank::Resting);
        assert!((0..100).all(|_| Arc::ptr_eq(&balancer.pick().unwrap(), &suspect)));
        balancer.remove(&suspect);
        assert!(balancer.pick().is_none());
    }

    #[tokio::test]
    async fn calls_stick_to_one_address_and_to_the_next_when_it_is_gone() {
        let tasks = Tasks::new();
        let (first, standing) = connection(&tasks, Rank::Ready).await;
        let (second, _) = connection(&tasks, Rank::Ready).await;
        let balancer = Balancer::new(Policy::sticky(&[first.address().to_owned(), second.address().to_owned()]));
        [&second, &first].into_iter().for_each(|connection| balancer.add(connection.clone()));

        assert!((0..10).all(|_| Arc::ptr_eq(&balancer.pick().unwrap(), &first)));
        standing.set(Rank::Resting);
        assert!(Arc::ptr_eq(&balancer.pick().unwrap(), &second));
        standing.set(Rank::Ready);
        assert!(Arc::ptr_eq(&balancer.pick().unwrap(), &second), "whoever took over keeps it");
        balancer.prefer(first.address());
        assert!(Arc::ptr_eq(&balancer.pick().unwrap(), &first));
    }
}
