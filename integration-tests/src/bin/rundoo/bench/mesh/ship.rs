//! Records a second through Ship, and the disk's own pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness::load::Traffic;
use harness::system::System;
use proto::logs::ship_request::Part;
use proto::logs::{Level, LogRecord, RecordBatch, ShipHeader, ShipRequest};

/// Producers at the same time.
const PRODUCERS: usize = 4;

/// A typical record weighs about this.
const MESSAGE_BYTES: usize = 150;

/// Records in one shipment, as the shipper of the mesh sends them at most.
const SHIPMENT: u64 = 5000;

/// Records a second from producers that each wait for their acknowledgement; and the median of `fdatasync`.
pub(crate) async fn measure(system: &System, each: Duration) -> anyhow::Result<(f64, Duration)> {
    let client = system.logs();
    let shipped = Arc::new(AtomicU64::new(0));
    let counter = shipped.clone();
    let producer = Arc::new(AtomicU64::new(0));
    let traffic = Traffic::start(PRODUCERS, Duration::ZERO, move || {
        let (mut client, counter) = (client.clone(), counter.clone());
        // A new producer with each shipment, so that none needs to know its sequence.
        let name = format!("bench-{}", producer.fetch_add(1, Ordering::Relaxed));
        async move {
            let answer = client.ship(tokio_stream::iter(shipment(&name))).await?.into_inner();
            counter.fetch_add(answer.stored, Ordering::Relaxed);
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "shipments failed: {:?}", outcome.failures);
    Ok((shipped.load(Ordering::Relaxed) as f64 / outcome.elapsed.as_secs_f64(), fdatasync(system)?))
}

fn shipment(producer: &str) -> Vec<ShipRequest> {
    let header = ShipHeader {
        producer: producer.to_owned(),
        incarnation: 1,
        first_sequence: 1,
        service: "bench".into(),
        instance_id: producer.to_owned(),
        ..Default::default()
    };
    let time = Some(mesh::timestamp(jiff::Timestamp::now()));
    let record = |sequence| LogRecord {
        sequence,
        time,
        level: Level::Info.into(),
        target: "bench::load".into(),
        message: "x".repeat(MESSAGE_BYTES),
        ..Default::default()
    };
    let records: Vec<LogRecord> = (1..=SHIPMENT).map(record).collect();
    let batches = records.chunks(1000).map(|records| Part::Batch(RecordBatch { records: records.to_vec() }));
    std::iter::once(Part::Header(header)).chain(batches).map(|part| ShipRequest { part: Some(part) }).collect()
}

/// How long the disk takes to make 4 KiB durable.
fn fdatasync(system: &System) -> anyhow::Result<Duration> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(system.folder().join("fdatasync"))?;
    let mut times = Vec::new();
    for _ in 0..100 {
        file.write_all(&[0; 4096])?;
        let began = std::time::Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
