//! Leases in etcd that end: a few after a hang, or thousands together.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, timeout};
use tonic::Streaming;
use tonic::transport::Endpoint;

use crate::etcd::CALLERS;
use crate::etcd::client::Etcd;
use crate::etcd::messages::WatchResponse;
use crate::{connect, say};

/// etcd ends a thousand leases a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often etcd looks for leases that ended.
const LOOK: Duration = Duration::from_millis(500);

/// Some leases are kept alive once more, one after another, and then no more. Says the slowest.
///
/// etcd looks for leases that ended twice a second, so it matters when they do.
pub(crate) async fn hang(at: &Endpoint, count: u32, seconds: i64) -> anyhow::Result<()> {
    let hang = async |n: u32| {
        tokio::time::sleep(LOOK * n / count).await;
        let mut ending = Ending::begin(at, &format!("hanging-{n}/"), 1, seconds).await?;
        let began = ending.keep_alive_once().await?;
        let (_, last) = ending.gone().await?;
        anyhow::Ok(last - began)
    };
    let times = try_join_all((0..count).map(hang)).await?;
    say("hang_ms", times.into_iter().max().context("some")?.as_secs_f64() * 1e3);
    Ok(())
}

/// Thousands of leases are kept alive once more in the same moment: how long from the first end to the last.
pub(crate) async fn all(at: &Endpoint, count: usize, seconds: i64) -> anyhow::Result<()> {
    let mut ending = Ending::begin(at, "ending/", count, seconds).await?;
    ending.keep_alive_once().await?;
    let (first, last) = ending.gone().await?;
    say("lapse_ms", (last - first).as_secs_f64() * 1e3);
    Ok(())
}

/// Leases that are going to end, and one who watches.
struct Ending {
    etcd: Etcd,
    leases: Vec<i64>,
    watch: Streaming<WatchResponse>,
}

impl Ending {
    async fn begin(at: &Endpoint, prefix: &str, count: usize, seconds: i64) -> anyhow::Result<Self> {
        let mut channels = connect(at, 2).await?.into_iter().map(Etcd::on);
        let (etcd, watcher) = (channels.next().context("a connection")?, channels.next().context("another")?);
        let watch = watcher.watch(prefix).await?;
        let registering = futures_util::stream::iter(0..count).map(|n| {
            let etcd = etcd.clone();
            async move { etcd.register(&format!("{prefix}{n:05}"), seconds).await }
        });
        let leases = registering.buffer_unordered(CALLERS).try_collect().await?;
        Ok(Self { etcd, leases, watch })
    }

    /// Renews all leases for the last time; answers when that began.
    async fn keep_alive_once(&self) -> anyhow::Result<Instant> {
        let began = Instant::now();
        // The stream stays open and says nothing more, as that of a process that hangs.
        let leases = tokio_stream::iter(self.leases.clone()).chain(tokio_stream::pending());
        let mut answers = self.etcd.keep_alive(leases).await?;
        for _ in &self.leases {
            let answer = answers.message().await?.context("etcd ended the stream")?;
            anyhow::ensure!(answer.time_to_live > 0, "a lease ended too early");
        }
        mesh::spawn("silence", async move { answers.message().await.map(drop) });
        Ok(began)
    }

    /// When the first and the last key went.
    async fn gone(&mut self) -> anyhow::Result<(Instant, Instant)> {
        let (mut gone, mut first) = (HashSet::new(), None);
        while gone.len() < self.leases.len() {
            let message = timeout(PATIENCE, self.watch.message()).await.context("keys stay")??.context("ended")?;
            let now = Instant::now();
            let keys = message.events.into_iter().filter(|event| event.deletes()).filter_map(|event| event.pair);
            gone.extend(keys.map(|pair| pair.key));
            first = first.or((!gone.is_empty()).then_some(now));
        }
        Ok((first.context("nothing ended")?, Instant::now()))
    }
}
