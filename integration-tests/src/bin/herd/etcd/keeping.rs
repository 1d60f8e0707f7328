//! Leases in etcd with a connection and a stream of their own, as instances have them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::etcd::client::Etcd;
use crate::{say, spawn};

/// The same as in the registry.
const LEASE_SECONDS: i64 = 6;
const PERIOD: Duration = Duration::from_secs(2);

/// Starts them evenly over one period, or as fast as etcd goes.
pub(crate) async fn run(at: Endpoint, count: usize) -> anyhow::Result<()> {
    let kept = Arc::new(Semaphore::new(0));
    let began = Instant::now();
    for n in 0..count {
        tokio::time::sleep_until(began + PERIOD.mul_f64(n as f64 / count as f64)).await;
        spawn("lease", keep(at.clone(), n, kept.clone()));
    }
    let _all = kept.acquire_many(u32::try_from(count)?).await?;
    say("ready", count);
    std::future::pending().await
}

async fn keep(at: Endpoint, n: usize, kept: Arc<Semaphore>) -> anyhow::Result<()> {
    let etcd = Etcd::on(at.connect().await?);
    let id = etcd.register(&format!("kept/{n:05}"), LEASE_SECONDS).await?;
    let (beats, sent) = mpsc::channel(1);
    beats.try_send(id)?;
    let mut answers = etcd.keep_alive(ReceiverStream::new(sent)).await?;
    let (mut due, mut is_first) = (Instant::now(), true);
    loop {
        let answer = answers.message().await?.context("etcd ended the stream")?;
        anyhow::ensure!(answer.time_to_live > 0, "the lease {n} is gone");
        if std::mem::take(&mut is_first) {
            kept.add_permits(1);
        }
        due += PERIOD;
        tokio::time::sleep_until(due).await;
        beats.send(id).await?;
    }
}
