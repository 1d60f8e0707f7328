//! Records a second through Ship, each on disk before it is acknowledged.

use std::time::Duration;

use harness::binaries;
use harness::logs::Node;
use tokio::time::Instant;

use crate::bench::disk;
use crate::bench::logs::COMMIT;
use crate::bench::logs::wire::{Pool, Producer};
use crate::bench::measure::{Goal, Report, quantile_ms};
use crate::bench::process::cpu_ticks;

/// Producers at the same time, each with one shipment under way.
const PRODUCERS: u64 = 8;

/// Different records of each.
const POOL: usize = 50_000;

/// Records of one shipment, the most that the contract wants.
const SHIPMENT: u64 = 5000;

/// Before anything counts: connections open, and memory is there.
const WARM_UP: Duration = Duration::from_millis(500);

/// The kernel counts processor time in hundredths of a second.
const TICK_US: f64 = 10_000.0;

pub(super) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let mut node = Node::new(&binaries::folder()?)?;
    node.launch().await?;
    disk::measure(report, node.data(), COMMIT)?;
    let mut producers = Vec::new();
    for number in 0..PRODUCERS {
        let service = ["orders", "stock", "prices", "mail"][number as usize % 4];
        let pool = Pool::new(number, POOL);
        producers.push(Producer::new(&node, service, &format!("producer-{number}"), pool).await?);
    }
    let crowd = producers.into_iter().map(|producer| mesh::spawn("producer", ship(producer, each)));
    let crowd: Vec<_> = crowd.collect();
    tokio::time::sleep(WARM_UP).await;
    let (ours, theirs) = (cpu_ticks(std::process::id())?, cpu_ticks(node.pid()?)?);
    tokio::time::sleep(each).await;
    let ours = (cpu_ticks(std::process::id())? - ours) as f64;
    let theirs = (cpu_ticks(node.pid()?)? - theirs) as f64;
    let mut sum = Shipped::default();
    for producer in crowd {
        let shipped = producer.await??;
        sum.records += shipped.records;
        sum.bytes += shipped.bytes;
        sum.acks.extend(shipped.acks);
    }
    let seconds = each.as_secs_f64();
    report.add("ship_rate", sum.records / seconds, "records/s", Goal::AtLeast(100_000.0));
    report.add("ship_bytes", sum.bytes / seconds / 1e6, "MB/s", Goal::Stated);
    report.add("ship_record", sum.bytes / sum.records, "bytes", Goal::Stated);
    report.add("ship_cpu", theirs * TICK_US / sum.records, "us/record", Goal::Stated);
    report.add("ship_cpu_of_load", ours * TICK_US / sum.records, "us/record", Goal::Stated);
    report.add("ship_ack_p50", quantile_ms(&mut sum.acks, 0.5), "ms", Goal::Stated);
    report.add("ship_ack_p99", quantile_ms(&mut sum.acks, 0.99), "ms", Goal::Stated);
    node.stop().await
}

#[derive(Default)]
struct Shipped {
    records: f64,
    bytes: f64,
    acks: Vec<Duration>,
}

/// One shipment after another; those that were answered within the time count.
async fn ship(mut producer: Producer, each: Duration) -> anyhow::Result<Shipped> {
    let begin = Instant::now() + WARM_UP;
    let mut shipped = Shipped::default();
    loop {
        let (sent, bytes) = (Instant::now(), producer.bytes);
        producer.ship(SHIPMENT).await?;
        let now = Instant::now();
        if now >= begin + each {
            return Ok(shipped);
        }
        if now >= begin {
            shipped.records += SHIPMENT as f64;
            shipped.bytes += (producer.bytes - bytes) as f64;
            shipped.acks.push(now - sent);
        }
    }
}
