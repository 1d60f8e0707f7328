//! Keeps one connection to each instance that the picture shows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::channel::balancer::Balancer;
use crate::channel::connection::Connection;
use crate::picture::Picture;
use crate::task::{self, Tasks};

/// Follows the picture for ever: connects to who comes, lets go of who leaves.
pub(crate) async fn keep(mut picture: watch::Receiver<Picture>, balancer: Arc<Balancer>) {
    let mut kept: HashMap<SocketAddr, Tasks> = HashMap::new();
    loop {
        let addresses: Vec<SocketAddr> = picture.borrow_and_update().instances.values().copied().collect();
        kept.retain(|address, _| addresses.contains(address));
        for address in addresses {
            kept.entry(address).or_insert_with(|| {
                let tasks = Tasks::new();
                tasks.spawn("endpoint", keep_one(address.to_string(), balancer.clone()));
                tasks
            });
        }
        if picture.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Keeps a connection to one address, dialling again for as long as it is wanted.
pub(crate) async fn keep_one(address: String, balancer: Arc<Balancer>) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
    loop {
        match Connection::open(&address).await {
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
