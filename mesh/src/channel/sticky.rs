//! One address that calls go to, and others that stand in for it.

use std::sync::{Arc, Mutex};

use crate::channel::balancer::Policy;
use crate::channel::connection::Connection;

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
    pub(crate) fn pick<'a>(&mut self, open: &'a [Arc<Connection>]) -> Option<&'a Arc<Connection>> {
        let at =
            |address: &String| open.iter().find(|open| open.endpoint().address() == address && open.rank().is_some());
        if let Some(connection) = self.address.as_ref().and_then(at) {
            return Some(connection);
        }
        let other = self.order.iter().find_map(at)?;
        self.address = Some(other.endpoint().address().to_owned());
        Some(other)
    }

    pub(crate) fn prefer(&mut self, address: &str) {
        self.address = Some(address.to_owned());
    }
}
