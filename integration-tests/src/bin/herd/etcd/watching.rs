//! Watches of one key in etcd, and changes of it that each of them is told of.

use std::sync::Arc;

use anyhow::Context as _;
use tonic::transport::Endpoint;

use crate::arrivals::{Arrivals, arrivals};
use crate::etcd::client::Etcd;
use crate::watches::Arguments;
use crate::{connect, say, spawn};

/// The keys that are watched.
const PREFIX: &str = "changing/";

/// Watches, changes the key, and says how long it took until each watch was told.
pub(crate) async fn run(at: Endpoint, arguments: Arguments) -> anyhow::Result<()> {
    let all = arguments.connections * arguments.watches;
    let (arrivals, clock) = arrivals(all);
    let arrivals = Arc::new(arrivals);
    let changer = Etcd::on(at.connect().await?);
    for channel in connect(&at, arguments.connections).await? {
        for _ in 0..arguments.watches {
            spawn("watch", follow(Etcd::on(channel.clone()), arrivals.clone()));
        }
    }
    arrivals.stand(all).await?;
    say("ready", all);
    clock.measure(arguments.changes, async || changer.put("changing/one", 0).await).await
}

async fn follow(etcd: Etcd, arrivals: Arc<Arrivals>) -> anyhow::Result<()> {
    let mut stream = etcd.watch(PREFIX).await?;
    arrivals.standing.add_permits(1);
    loop {
        let message = stream.message().await?.context("etcd ended the watch")?;
        if !message.events.is_empty() {
            arrivals.came(message.header.context("a header")?.revision.try_into()?);
        }
    }
}
