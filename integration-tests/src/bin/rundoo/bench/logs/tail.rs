//! From commit to a reader that follows, and what a reader loses that pauses under load.

use std::time::Duration;

use anyhow::Context as _;
use harness::binaries;
use harness::logs::Node;
use proto::logs::tail_request::Start;
use proto::logs::{Filter, TailRequest, TailResponse};
use tokio::time::Instant;
use tonic::Streaming;

use crate::bench::logs::wire::{Pool, Producer};
use crate::bench::measure::{Goal, Report, ms, quantile_ms};

/// Records a second while latency is measured, in shipments this often.
const CALM_RATE: u64 = 1000;
const EVERY: Duration = Duration::from_millis(20);

/// Records a second while a reader pauses.
const BUSY_RATE: u64 = 20_000;

/// How long it pauses: six times this is what is promised, and no other thing happens in it.
const PAUSE: Duration = Duration::from_secs(10);

/// Different records.
const POOL: usize = 20_000;

pub(super) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let mut node = Node::new(&binaries::folder()?)?;
    node.launch().await?;
    let calm = Producer::new(&node, "calm", "calm-1", Pool::new(1, POOL)).await?;
    let mut tail = follow(&node, "calm").await?;
    let shipped = mesh::spawn("producer", ship(calm, CALM_RATE, each));
    let (mut latencies, mut seen) = (Vec::new(), 0);
    let wanted = CALM_RATE * each.as_secs();
    while seen < wanted {
        let message = tail.message().await?.context("the tail ended")?;
        seen += message.records.len() as u64;
        // The log service's clock is ours. It notes the time before it forces the record to disk.
        latencies.extend(message.records.iter().filter_map(|row| since(row.received.as_ref()?)));
    }
    shipped.await??;
    report.add("tail_p50", quantile_ms(&mut latencies, 0.5), "ms", Goal::Stated);
    report.add("tail_p99", quantile_ms(&mut latencies, 0.99), "ms", Goal::AtMost(250.0));

    let busy = Producer::new(&node, "busy", "busy-1", Pool::new(2, POOL)).await?;
    let mut tail = follow(&node, "busy").await?;
    let shipped = mesh::spawn("producer", ship(busy, BUSY_RATE, PAUSE + Duration::from_secs(2)));
    tokio::time::sleep(PAUSE).await;
    let resumed = Instant::now();
    let total = BUSY_RATE * (PAUSE.as_secs() + 2);
    let (mut lost, mut next, mut lag) = (0, 1, 0);
    while next <= total {
        let message = tail.message().await?.context("the tail ended")?;
        lag = lag.max(message.lag.unwrap_or_default());
        for record in message.records.into_iter().filter_map(|row| row.record) {
            lost += record.sequence.abs_diff(next);
            next = record.sequence + 1;
        }
    }
    shipped.await??;
    report.add("tail_paused_for", PAUSE.as_secs_f64(), "s", Goal::Stated);
    report.add("tail_paused_lag", lag as f64, "records", Goal::Stated);
    report.add("tail_paused_caught_up_after", ms(resumed.elapsed()), "ms", Goal::Stated);
    report.add("tail_paused_lost", lost as f64, "records", Goal::AtMost(0.0));
    drop(tail);
    node.stop().await
}

async fn follow(node: &Node, service: &str) -> anyhow::Result<Streaming<TailResponse>> {
    let filter = Some(Filter { services: vec![service.to_owned()], ..Default::default() });
    let request = TailRequest { start: Some(Start::FromOffset(0)), filter, no_follow: false };
    Ok(node.client().await?.tail(request).await?.into_inner())
}

async fn ship(mut producer: Producer, rate: u64, time: Duration) -> anyhow::Result<()> {
    let count = rate * u64::try_from(EVERY.as_millis())? / 1000;
    let mut due = Instant::now();
    while producer.acknowledged < rate * time.as_secs() {
        tokio::time::sleep_until(due).await;
        producer.ship(count).await?;
        due += EVERY;
    }
    Ok(())
}

fn since(time: &prost_types::Timestamp) -> Option<Duration> {
    Duration::try_from(jiff::Timestamp::now().duration_since(mesh::from_timestamp(time)?)).ok()
}
