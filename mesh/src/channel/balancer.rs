//! Which connection takes the next call: of two at random the one where it costs less.
//!
//! Only open connections are in the set, so a dead instance costs nothing. Same zone
//! first, suspects last, and who fails is left alone for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use proto::mesh::Peer;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::channel::connection::Connection;
use crate::channel::endpoint::Endpoint;
use crate::channel::outliers::{Outliers, Verdict};
use crate::channel::sticky::Home;
use crate::picture::Rank;

/// Another zone is called when its instance costs less than this part of the near one, which is busy: the way is longer.
const FAR: f64 = 0.25;
const BUSY: u32 = 8;

/// Calls that cannot be repeated try who was ejected this much later: by then none came that can.
const UNREPEATABLE: Duration = Duration::from_secs(15);

/// The open connections of a channel, and its instances.
#[derive(Debug)]
pub(crate) struct Balancer {
    policy: Policy,
    open: RwLock<Vec<Arc<Connection>>>,
    /// A connection was opened, or could not be.
    news: Notify,
    set: Mutex<Set>,
    /// Whether anybody is ejected: a look at the set is spared otherwise.
    has_ejected: AtomicBool,
    /// Why the last attempt to connect failed, for the words of a refusal.
    trouble: Mutex<Option<String>>,
}

/// The instances, each with what is known against it, in the same places.
#[derive(Debug, Default)]
struct Set {
    endpoints: Vec<Arc<Endpoint>>,
    outliers: Outliers,
}

/// Who gets the next call.
#[derive(Debug)]
pub(crate) enum Policy {
    /// Of two instances, the one where it costs less.
    Cheaper,
    /// Always the same one while it is open: what is said to one registry node is not known to another.
    Sticky(Mutex<Home>),
}

/// What is asked of a pick.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    /// An instance that was tried: another one is better, if there is one.
    pub(crate) avoid: Option<&'a Arc<Endpoint>>,
    /// Whether a failure would be repeated elsewhere, so that the call may be the one that tries who was ejected.
    pub(crate) may_probe: bool,
}

impl Balancer {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            open: RwLock::default(),
            news: Notify::new(),
            set: Mutex::default(),
            has_ejected: AtomicBool::new(false),
            trouble: Mutex::default(),
        }
    }

    /// One more instance, connected or not.
    pub(crate) fn enter(&self, endpoint: Arc<Endpoint>) {
        let mut set = self.set();
        set.endpoints.push(endpoint);
        set.outliers.push();
    }

    /// An instance is no longer one.
    pub(crate) fn leave(&self, gone: &Arc<Endpoint>) {
        let mut set = self.set();
        if let Some(place) = set.place(gone) {
            set.endpoints.remove(place);
            set.outliers.remove(place);
        }
        self.has_ejected.store(set.has_ejected(), Ordering::Relaxed);
    }

    pub(crate) fn add(&self, connection: Arc<Connection>) {
        connection.endpoint().set_connected(true);
        self.open.write().unwrap_or_else(PoisonError::into_inner).push(connection);
        self.news.notify_waiters();
    }

    pub(crate) fn remove(&self, gone: &Arc<Connection>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| !Arc::ptr_eq(connection, gone));
        let is_open = open.iter().any(|connection| Arc::ptr_eq(connection.endpoint(), gone.endpoint()));
        gone.endpoint().set_connected(is_open);
    }

    /// Notes why a connection could not be opened.
    pub(crate) fn note(&self, trouble: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        self.news.notify_waiters();
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a connection could not be opened, if none ever could not.
    pub(crate) async fn troubled(&self) {
        self.until(|| self.trouble().map(drop)).await;
    }

    /// Learns from how a call ended.
    pub(crate) fn judge(&self, endpoint: &Arc<Endpoint>, verdict: Verdict, now: Instant) {
        if verdict == Verdict::None && !self.has_ejected.load(Ordering::Relaxed) {
            return;
        }
        let mut set = self.set();
        let Some(place) = set.place(endpoint) else { return };
        set.outliers.note(place, verdict, now);
        let (was, is) = (endpoint.is_ejected(), set.outliers.is_ejected(place));
        if was == is {
            return;
        }
        endpoint.set_ejected(is);
        self.has_ejected.store(set.has_ejected(), Ordering::Relaxed);
        let address = endpoint.address();
        match is {
            true => tracing::warn!("calls to {address} fail: it is left alone for a while"),
            false => tracing::info!("{address} answers again"),
        }
    }

    /// The connection for the next call, if any is open.
    pub(crate) fn pick(&self, wish: Wish<'_>) -> Option<Arc<Connection>> {
        let open = self.open();
        match &self.policy {
            Policy::Sticky(home) => home.lock().unwrap_or_else(PoisonError::into_inner).pick(&open).cloned(),
            Policy::Cheaper => {
                let now = Instant::now();
                self.probe(&open, wish, now).or_else(|| cheaper(&open, wish.avoid, now)).cloned()
            }
        }
    }

    /// A connection to who was ejected and is due to be tried again.
    fn probe<'a>(&self, open: &'a [Arc<Connection>], wish: Wish<'_>, now: Instant) -> Option<&'a Arc<Connection>> {
        if !self.has_ejected.load(Ordering::Relaxed) {
            return None;
        }
        let as_of = if wish.may_probe { now } else { now.checked_sub(UNREPEATABLE)? };
        let mut set = self.set();
        let at = |endpoint: &Arc<Endpoint>| {
            open.iter().find(|open| open.rank().is_some() && Arc::ptr_eq(open.endpoint(), endpoint))
        };
        let due = set.outliers.due(as_of).find_map(|place| Some((place, at(&set.endpoints[place])?)));
        due.map(|(place, connection)| {
            set.outliers.probe(place, now);
            connection
        })
    }

    /// Makes `address` the one that calls go to while it is open, if calls go to one only.
    pub(crate) fn prefer(&self, address: &str) {
        if let Policy::Sticky(home) = &self.policy {
            home.lock().unwrap_or_else(PoisonError::into_inner).prefer(address);
        }
    }

    /// Waits until a connection to `address` is open.
    pub(crate) async fn connected(&self, address: &str) {
        let is_there = || self.open().iter().any(|open| open.endpoint().address() == address).then_some(());
        self.until(is_there).await;
    }

    /// Waits until a connection is open.
    pub(crate) async fn picked(&self, wish: Wish<'_>) -> Arc<Connection> {
        self.until(|| self.pick(wish)).await
    }

    async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // Before looking, so that a connection that opens in between is not missed.
            news.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            news.await;
        }
    }

    /// The least of the addresses with an open connection.
    pub(crate) fn address(&self) -> Option<String> {
        self.open().iter().map(|open| open.endpoint().address()).min().map(str::to_owned)
    }

    /// The instances, as `GetStats` tells them.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.set().endpoints.iter().map(|endpoint| endpoint.peer()).collect()
    }

    fn open(&self) -> RwLockReadGuard<'_, Vec<Arc<Connection>>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    fn has_ejected(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.is_ejected())
    }

    fn place(&self, endpoint: &Arc<Endpoint>) -> Option<usize> {
        self.endpoints.iter().position(|known| Arc::ptr_eq(known, endpoint))
    }
}

/// Two of however many, each pair with the same chance.
#[derive(Default)]
struct Two<'a> {
    seen: usize,
    picked: [Option<&'a Arc<Connection>>; 2],
}

impl<'a> Two<'a> {
    fn offer(&mut self, connection: &'a Arc<Connection>) {
        let place = if self.seen < 2 { self.seen } else { fastrand::usize(..=self.seen) };
        if let Some(slot) = self.picked.get_mut(place) {
            *slot = Some(connection);
        }
        self.seen += 1;
    }

    fn cheaper(&self, now: Instant) -> Option<&'a Arc<Connection>> {
        match self.picked {
            [Some(a), Some(b)] => Some(if b.endpoint().cost(now) < a.endpoint().cost(now) { b } else { a }),
            [a, _] => a,
        }
    }
}

/// The cheaper of two near ones, unless it is busy and a far one is much cheaper; who is in doubt only when nobody else is there.
fn cheaper<'a>(
    open: &'a [Arc<Connection>],
    avoid: Option<&Arc<Endpoint>>,
    now: Instant,
) -> Option<&'a Arc<Connection>> {
    let (mut near, mut far) = (Two::default(), Two::default());
    for connection in open {
        let endpoint = connection.endpoint();
        let is_avoided = avoid.is_some_and(|avoid| Arc::ptr_eq(avoid, endpoint));
        if connection.rank() == Some(Rank::Ready) && !endpoint.is_ejected() && !is_avoided {
            if endpoint.is_near() { near.offer(connection) } else { far.offer(connection) }
        }
    }
    match (near.cheaper(now), far.cheaper(now)) {
        (Some(near), Some(far)) => {
            let (here, there) = (near.endpoint(), far.endpoint());
            let spills = here.in_flight() >= BUSY && there.cost(now) < here.cost(now) * FAR;
            Some(if spills { far } else { near })
        }
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => last_resort(open, avoid, now),
    }
}

/// Who is suspect, who was tried before, who was ejected: better than nobody, in this order.
fn last_resort<'a>(
    open: &'a [Arc<Connection>],
    avoid: Option<&Arc<Endpoint>>,
    now: Instant,
) -> Option<&'a Arc<Connection>> {
    let doubt = |connection: &Arc<Connection>| {
        let endpoint = connection.endpoint();
        let is_avoided = avoid.is_some_and(|avoid| Arc::ptr_eq(avoid, endpoint));
        Some((endpoint.is_ejected(), is_avoided, connection.rank()?))
    };
    let ranked = open.iter().filter_map(|connection| Some((doubt(connection)?, connection)));
    let by_cost = |a: &Arc<Connection>, b: &Arc<Connection>| a.endpoint().cost(now).total_cmp(&b.endpoint().cost(now));
    ranked.min_by(|a, b| a.0.cmp(&b.0).then_with(|| by_cost(a.1, b.1))).map(|(_, connection)| connection)
}

#[cfg(test)]
mod tests;
