//! Keeps one connection to each instance that the picture shows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::channel::balancer::Balancer;
use crate::channel::connection::Connection;
use crate::channel::dial::Dial;
use crate::channel::endpoint::{Endpoint, Standing};
use crate::picture::{Picture, Rank, Viewer};
use crate::task::{self, Tasks};

/// A connection that lives for this long was one.
const LASTING: Duration = Duration::from_secs(1);

/// Why a connection in plain text may break at once.
const MAYBE_TLS: &str = "; if TLS is spoken there, give --tls-cert, --tls-key and --tls-ca";

/// Who connects, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) dial: Dial,
    /// The zone of this process; empty when there are no zones.
    pub(crate) zone: String,
}

impl Keeper {
    /// Follows the picture for ever: connects to who comes, lets go of who leaves, and says what it has applied.
    pub(crate) async fn follow(self, mut viewer: Viewer) {
        let mut kept: HashMap<SocketAddr, (Arc<Endpoint>, Tasks)> = HashMap::new();
        loop {
            let picture = viewer.picture.borrow_and_update().clone();
            let standings = self.standings(&picture);
            kept.retain(|address, (endpoint, _)| {
                let stays = standings.contains_key(address);
                if !stays {
                    // The connection leaves the set a moment later, when its task ends.
                    endpoint.set_rank(Rank::Resting);
                }
                stays
            });
            for (address, standing) in standings {
                let (endpoint, _) = kept.entry(address).or_insert_with(|| {
                    let (tasks, endpoint) = (Tasks::new(), Arc::new(Endpoint::new(address.to_string(), standing)));
                    tasks.spawn("endpoint", self.clone().keep(endpoint.clone()));
                    (endpoint, tasks)
                });
                endpoint.set(standing);
            }
            // From here on nobody is picked who is not in this picture: that is what the registry is told.
            viewer.applied.send_replace(picture.mark);
            if viewer.picture.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// How each address stands; one that is taken over counts as who has it now.
    fn standings(&self, picture: &Picture) -> HashMap<SocketAddr, Standing> {
        let mut standings: HashMap<SocketAddr, Standing> = HashMap::new();
        for seen in picture.instances.values() {
            let same_zone = self.zone.is_empty() || seen.zone == self.zone;
            let standing = Standing { rank: seen.rank, weight: seen.weight, same_zone };
            let known = standings.entry(seen.address).or_insert(standing);
            if standing.rank < known.rank {
                *known = standing;
            }
        }
        standings
    }

    /// Keeps a connection to one instance, dialling again for as long as it is wanted.
    pub(crate) async fn keep(self, endpoint: Arc<Endpoint>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
        let _member = Member::enter(&self.balancer, endpoint.clone());
        loop {
            match Connection::open(endpoint.clone(), &self.dial).await {
                Ok((connection, driver)) => {
                    let opened = Instant::now();
                    // The driver outlives this task: a call in flight ends, though its instance left.
                    let over = task::detach("connection", driver);
                    let listed = Listed::add(&self.balancer, Arc::new(connection));
                    let ended = over.await;
                    drop(listed);
                    if let Ok(Err(why)) = ended {
                        let hint = if self.dial.is_secure() || opened.elapsed() >= LASTING { "" } else { MAYBE_TLS };
                        self.balancer.note(format!("{}: {why}{hint}", endpoint.address()));
                    }
                    // Who refuses our certificate takes each connection first: that is no success.
                    if !self.dial.is_secure() || opened.elapsed() >= LASTING {
                        backoff.reset();
                    }
                }
                Err(error) => self.balancer.note(format!("{}: {error}", endpoint.address())),
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }
}

/// An instance in the balancer's set; leaves it when dropped, also when its task is ended.
struct Member<'a> {
    balancer: &'a Balancer,
    endpoint: Arc<Endpoint>,
}

impl<'a> Member<'a> {
    fn enter(balancer: &'a Balancer, endpoint: Arc<Endpoint>) -> Self {
        balancer.enter(endpoint.clone());
        Self { balancer, endpoint }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.balancer.leave(&self.endpoint);
    }
}

/// An open connection in the balancer's set; leaves it when dropped, also when its task is ended.
struct Listed<'a> {
    balancer: &'a Balancer,
    connection: Arc<Connection>,
}

impl<'a> Listed<'a> {
    fn add(balancer: &'a Balancer, connection: Arc<Connection>) -> Self {
        balancer.add(connection.clone());
        Self { balancer, connection }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.balancer.remove(&self.connection);
        self.connection.unlist();
    }
}
