//! Channels for those who have no registry: a list of addresses, or a name that is looked up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::channel::words::Source;
use crate::channel::{Channel, Origin, Target};
use crate::identity::Identity;
use crate::picture::{self, Painter, Rank, Seen};

/// How often a name is looked up: what DNS says may be older anyway.
const LOOK_UP: Duration = Duration::from_secs(10);

/// How often one is that could not be looked up.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(1);

impl Channel {
    /// A channel to instances at fixed addresses: the balancer alone, without a registry and in plain text.
    ///
    /// `service` names it in errors and metrics. `descriptors`, the encoded descriptor set
    /// of its contract, say which methods may be repeated; none are when it is empty.
    /// Connections are kept from now on, so this needs a tokio runtime.
    pub fn to_addresses(service: &str, addresses: &[SocketAddr], descriptors: &[u8]) -> Self {
        let (painter, viewer) = picture::canvas();
        paint(&painter, addresses.iter().copied());
        let painting = async move {
            // What is painted stays.
            let _painter = painter;
            std::future::pending().await
        };
        Self::following(Target { service, descriptors }, &stranger(), Source::Addresses, (viewer, painting))
    }

    /// A channel to every address that HOST:PORT stands for, which is looked up again every ten seconds.
    ///
    /// While the name cannot be looked up, the last addresses stay. The rest is as for
    /// [`Channel::to_addresses`].
    pub fn to_name(service: &str, name: &str, descriptors: &[u8]) -> Self {
        let (painter, viewer) = picture::canvas();
        let painting = look_up(name.to_owned(), painter);
        Self::following(Target { service, descriptors }, &stranger(), Source::Dns, (viewer, painting))
    }
}

fn stranger() -> Origin {
    Origin::of(Identity::new("client", env!("CARGO_PKG_VERSION")))
}

async fn look_up(name: String, painter: Painter) {
    loop {
        let wait = match tokio::net::lookup_host(&name).await {
            Ok(addresses) => {
                paint(&painter, addresses);
                LOOK_UP
            }
            Err(error) => {
                tracing::debug!("could not look up {name}: {error}");
                painter.note(&error.to_string());
                LOOK_UP_AGAIN
            }
        };
        tokio::time::sleep(wait).await;
    }
}

fn paint(painter: &Painter, addresses: impl Iterator<Item = SocketAddr>) {
    let seen = |address| Seen { address, rank: Rank::Ready, weight: 0, zone: String::new() };
    let instances: BTreeMap<String, Seen> = addresses.map(|address| (address.to_string(), seen(address))).collect();
    painter.picture.send_if_modified(|picture| {
        let changed = picture.heard.is_none() || picture.instances != instances;
        picture.heard = Some(Instant::now());
        picture.instances = instances;
        changed
    });
}
