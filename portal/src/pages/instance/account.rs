//! What an instance tells of itself when it is asked: its calls, whom it calls, how much it works on, what it is made of.

use proto::mesh::{Concurrency, GetGraphResponse, Peer, Stats};

use crate::{inside::Inside, query::service_link, time::span, traffic::Served};

/// What an instance tells of itself.
pub(super) struct Account {
    pub(super) served: Vec<Served>,
    pub(super) made: Vec<Served>,
    pub(super) peers: Vec<Called>,
    /// How many calls it works on, at most, and how many it has refused.
    pub(super) limit: Option<Concurrency>,
    pub(super) inside: Option<Inside>,
}

/// An instance that it calls.
pub(super) struct Called {
    pub(super) service: String,
    /// Where its service's page is.
    pub(super) page: String,
    pub(super) address: String,
    pub(super) label: &'static str,
    pub(super) tone: &'static str,
    pub(super) remarks: Vec<String>,
    pub(super) latency: String,
    pub(super) in_flight: u32,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

impl Account {
    /// None when it told nothing at all.
    pub(super) fn of(stats: Option<Stats>, graph: Option<GetGraphResponse>) -> Option<Account> {
        if stats.is_none() && graph.is_none() {
            return None;
        }
        let stats = stats.unwrap_or_default();
        Some(Account {
            served: Served::list(&stats.inbound),
            made: Served::list(&stats.outbound),
            // A process that looks at all others has a channel to each; those are no peers of its work.
            peers: stats.peers.into_iter().filter(|peer| peer.service != "instance").map(Called::from).collect(),
            limit: stats.concurrency,
            inside: graph.map(Inside::from),
        })
    }
}

impl From<Peer> for Called {
    fn from(peer: Peer) -> Called {
        let (label, tone) = match () {
            () if peer.ejected => ("Left alone", "bad"),
            () if !peer.connected => ("Not connected", "fair"),
            () if peer.suspect => ("In doubt", "fair"),
            () if peer.draining => ("Finishing", "fair"),
            () => ("Connected", "good"),
        };
        let weight = (peer.weight != 100 && peer.weight != 0).then(|| format!("weight {}", peer.weight));
        let near = peer.same_zone.then(|| "same zone".to_owned());
        Called {
            page: service_link(&peer.service),
            service: peer.service,
            address: peer.address,
            label,
            tone,
            remarks: [weight, near].into_iter().flatten().collect(),
            latency: peer.latency.as_ref().and_then(mesh::from_duration).map(span).unwrap_or_default(),
            in_flight: peer.in_flight,
            succeeded: peer.succeeded,
            failed: peer.failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(peer: Peer) -> (&'static str, &'static str) {
        let called = Called::from(peer);
        (called.label, called.tone)
    }

    #[test]
    fn the_worst_that_is_known_of_a_peer_counts() {
        let connected = Peer { connected: true, ..Peer::default() };
        assert_eq!(label(connected.clone()), ("Connected", "good"));
        assert_eq!(label(Peer { draining: true, ..connected.clone() }), ("Finishing", "fair"));
        assert_eq!(label(Peer { suspect: true, draining: true, ..connected.clone() }), ("In doubt", "fair"));
        assert_eq!(label(Peer::default()), ("Not connected", "fair"));
        assert_eq!(label(Peer { ejected: true, ..connected }), ("Left alone", "bad"));
    }

    #[test]
    fn who_is_silent_gives_no_account() {
        assert!(Account::of(None, None).is_none());
        let peers = ["instance", "productsvc"].map(|service| Peer { service: service.into(), ..Peer::default() });
        let account = Account::of(Some(Stats { peers: peers.into(), ..Stats::default() }), None).unwrap();
        assert_eq!(account.peers.len(), 1);
    }
}
