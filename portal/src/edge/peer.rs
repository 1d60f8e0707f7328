//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv4Addr};

/// The other end of a connection; the edge puts it into each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
}

impl Peer {
    /// What counts for a request that came by no connection.
    pub(crate) const NOBODY: Peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: false };
}
