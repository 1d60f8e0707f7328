//! How long an acknowledgement takes while 50,000 records a second arrive.

use std::time::Duration;

use harness::binaries;
use harness::logs::Node;
use tokio::time::Instant;

use crate::bench::disk;
use crate::bench::logs::COMMIT;
use crate::bench::logs::wire::{Pool, Producer};
use crate::bench::measure::{Goal, Report, quantile_ms};
use crate::bench::process::cpu_ticks;

/// Producers, whose shipments are due at different moments.
const PRODUCERS: u32 = 10;

/// Records a second, all together.
const RATE: u64 = 50_000;

/// Each ships this often, which is twice as often as the contract wants.
const EVERY: Duration = Duration::from_millis(100);

/// Different records of each.
const POOL: usize = 50_000;

/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// The kernel counts processor time in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

pub(super) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let mut node = Node::new(&binaries::folder()?)?;
    node.launch().await?;
    disk::measure(report, node.data(), COMMIT)?;
    let mut producers = Vec::new();
    for number in 0..PRODUCERS {
        let pool = Pool::new(number.into(), POOL);
        producers.push(Producer::new(&node, "orders", &format!("producer-{number}"), pool).await?);
    }
    let began = Instant::now() + Duration::from_millis(50);
    let end = began + WARM_UP + each;
    let crowd: Vec<_> = producers
        .into_iter()
        .zip(0_u32..)
        .map(|(producer, number)| mesh::spawn("producer", ship(producer, began + EVERY / PRODUCERS * number, end)))
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let before = cpu_ticks(node.pid()?)?;
    tokio::time::sleep(each).await;
    let core = (cpu_ticks(node.pid()?)? - before) as f64 / TICKS_A_SECOND / each.as_secs_f64() * 100.0;
    let mut acks = Vec::new();
    for producer in crowd {
        acks.extend(producer.await??);
    }
    let shipment = RATE as f64 / f64::from(PRODUCERS) * EVERY.as_secs_f64();
    report.add("ack_rate", acks.len() as f64 * shipment / each.as_secs_f64(), "records/s", Goal::Stated);
    report.add("ack_p50", quantile_ms(&mut acks, 0.5), "ms", Goal::AtMost(15.0));
    report.add("ack_p99", quantile_ms(&mut acks, 0.99), "ms", Goal::AtMost(100.0));
    report.add("ack_max", quantile_ms(&mut acks, 1.0), "ms", Goal::Stated);
    report.add("ack_cpu", core, "% of a core", Goal::Stated);
    node.stop().await
}

/// Ships when it is due. One that comes late because the one before was slow counts from when it was due.
async fn ship(mut producer: Producer, first: Instant, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let shipment = RATE * u64::try_from(EVERY.as_millis())? / 1000 / u64::from(PRODUCERS);
    let mut acks = Vec::new();
    let mut due = first;
    while due < end {
        tokio::time::sleep_until(due).await;
        producer.ship(shipment).await?;
        if due >= first + WARM_UP {
            acks.push(due.elapsed());
        }
        due += EVERY;
    }
    Ok(acks)
}
