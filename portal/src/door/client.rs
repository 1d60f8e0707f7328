//! From where a request comes.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;

use crate::edge::Peer;

/// Where a request comes from, as far as somebody says so who is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address of the browser or program.
    pub(crate) address: IpAddr,
    /// Whether nobody on the way could read along.
    pub(crate) is_secure: bool,
}

/// What counts as one client when there is no account: an address, or the 64 bits of IPv6 that one household has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl Client {
    /// Reads it. What a proxy says counts only when it is one of `proxies`.
    pub(crate) fn of(peer: Peer, headers: &HeaderMap, proxies: &[IpAddr]) -> Client {
        let own = Client { address: peer.address.to_canonical(), is_secure: peer.tls };
        if !proxies.contains(&own.address) {
            return own;
        }
        let last = |name: &str| headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok());
        let is_secure = own.is_secure || last("x-forwarded-proto").is_some_and(|proto| proto.trim() == "https");
        let all = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = all.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut address = own.address;
        // Each proxy adds at the end whom it saw; the first that is no proxy of ours may have made up the rest.
        for hop in hops.iter().rev() {
            let Ok(seen) = hop.parse::<IpAddr>() else { break };
            address = seen.to_canonical();
            if !proxies.contains(&address) {
                break;
            }
        }
        Client { address, is_secure }
    }

    pub(crate) fn network(&self) -> Network {
        Network::of(self.address)
    }
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Network {
        match address {
            IpAddr::V4(_) => Network(address),
            IpAddr::V6(address) => {
                let bits = u128::from(address) & !u128::from(u64::MAX);
                Network(Ipv6Addr::from(bits).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&'static str]) -> String {
        let headers = forwarded.iter().map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap()));
        let headers: HeaderMap = headers.collect();
        let proxies = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let peer = Peer { address: peer.parse().unwrap(), tls: false };
        Client::of(peer, &headers, &proxies).address.to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        assert_eq!(from("192.0.2.9", &["1.2.3.4"]), "192.0.2.9");
        assert_eq!(from("10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(from("::ffff:10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_a_client_made_up_does_not_count() {
        assert_eq!(from("10.0.0.1", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(from("10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.0.0.2"]), "1.2.3.4");
        assert_eq!(from("10.0.0.1", &["6.6.6.6, nonsense"]), "10.0.0.1");
    }

    #[test]
    fn a_household_of_ipv6_is_one_client() {
        let network = |address: &str| Network::of(address.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
