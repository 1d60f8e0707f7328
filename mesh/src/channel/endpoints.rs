//! Keeps one connection to each instance that the picture shows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::channel::balancer::Balancer;
use crate::channel::connection::Connection;
use crate::channel::standing::Standing;
use crate::picture::{Picture, Rank, Viewer};
use crate::task::{self, Tasks};

/// Follows the picture for ever: connects to who comes, lets go of who leaves, and says what it has applied.
pub(crate) async fn keep(mut viewer: Viewer, balancer: Arc<Balancer>) {
    let mut kept: HashMap<SocketAddr, (Arc<Standing>, Tasks)> = HashMap::new();
    loop {
        let picture = viewer.picture.borrow_and_update().clone();
        let ranks = ranks(&picture);
        kept.retain(|address, (standing, _)| {
            let stays = ranks.contains_key(address);
            if !stays {
                // The connection leaves the set a moment later, when its task ends.
                standing.set(Rank::Resting);
            }
            stays
        });
        for (address, rank) in ranks {
            let (standing, _) = kept.entry(address).or_insert_with(|| {
                let (tasks, standing) = (Tasks::new(), Arc::new(Standing::new(rank)));
                let connection = keep_one(address.to_string(), standing.clone(), balancer.clone());
                tasks.spawn("endpoint", connection);
                (standing, tasks)
            });
            standing.set(rank);
        }
        // From here on nobody is picked who is not in this picture: that is what the registry is told.
        viewer.applied.send_replace(picture.mark);
        if viewer.picture.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The rank of each address; one that is taken over counts as who has it now.
fn ranks(picture: &Picture) -> HashMap<SocketAddr, Rank> {
    let mut ranks = HashMap::new();
    for seen in picture.instances.values() {
        let rank = ranks.entry(seen.address).or_insert(seen.rank);
        *rank = seen.rank.min(*rank);
    }
    ranks
}

/// Keeps a connection to one address, dialling again for as long as it is wanted.
pub(crate) async fn keep_one(address: String, standing: Arc<Standing>, balancer: Arc<Balancer>) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
    loop {
        match Connection::open(&address, standing.clone()).await {
            Ok((connection, driver)) => {
                backoff.reset();
                // The driver outlives this task: a call in flight ends, though its instance left.
                let over = task::detach("connection", driver);
                let listed = Listed::add(&balancer, Arc::new(connection));
                let _ended = over.await;
                drop(listed);
            }
            Err(error) => balancer.note(format!("{address}: {error}")),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// A connection in the balancer's set; leaves it when dropped, also when its task is ended.
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
