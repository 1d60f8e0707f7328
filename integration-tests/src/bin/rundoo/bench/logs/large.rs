//! Ten million records: the memory they take, the disk they take, and searches over them.

use std::time::Duration;

use harness::binaries;
use harness::logs::{Generator, Node, verify};
use proto::logs::{GetStatisticsRequest, LogRecord};
use tokio::time::Instant;

use crate::bench::disk;
use crate::bench::logs::COMMIT;
use crate::bench::logs::searches;
use crate::bench::logs::wire::{Pool, Producer};
use crate::bench::measure::{Goal, Report};
use crate::bench::memory::{self, Watched};

/// Services with two instances each.
pub(super) const SERVICES: [&str; 4] = ["orders", "stock", "prices", "mail"];
const PRODUCERS: u64 = 8;

/// Records of one shipment.
const SHIPMENT: u64 = 2500;

/// The last ones come at this rate, for so long, to a process that was started again: memory is judged then.
const RATE: u64 = 50_000;
const PACED: Duration = Duration::from_secs(15);

/// What the log service may take then.
const MOST_MEMORY: f64 = 150e6 / 1024.0 / 1024.0;

/// All of them at the rate that memory is judged at, or most of them as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Rate,
    Full,
}

pub(super) async fn measure(report: &mut Report, records: u64, pace: Pace) -> anyhow::Result<()> {
    let mut node = Node::new(&binaries::folder()?)?;
    node.launch().await?;
    disk::measure(report, node.data(), COMMIT)?;
    let paced = match pace {
        Pace::Rate => records,
        Pace::Full => (RATE * PACED.as_secs()).min(records / 2),
    };
    let mut producers = Vec::new();
    for number in 0..PRODUCERS {
        producers.push(Writer::new(&node, number).await?);
    }

    if pace == Pace::Full {
        let began = Instant::now();
        let watched = Watched::start(node.pid()?);
        producers = load(producers, records - paced, None).await?;
        let rate = (records - paced) as f64 / began.elapsed().as_secs_f64();
        report.add("large_load_rate", rate, "records/s", Goal::Stated);
        watched.most().report(report, "large_memory_at_full_speed", Goal::Stated);
        node.stop().await?;
        node.launch().await?;
    }
    let watched = Watched::start(node.pid()?);
    load(producers, paced, Some(RATE)).await?;
    watched.most().report(report, "large_memory_at_50k", Goal::AtMost(MOST_MEMORY));
    memory::of(node.pid()?)?.report(report, "large_memory_after", Goal::Stated);

    let mut client = node.client().await?;
    let stored = client.get_statistics(GetStatisticsRequest {}).await?.into_inner().storage.unwrap_or_default();
    report.add("large_records", (stored.end_offset - stored.first_offset) as f64, "records", Goal::Stated);
    searches::measure(report, &mut client, stored.end_offset).await?;
    memory::of(node.pid()?)?.report(report, "large_memory_after_searches", Goal::Stated);
    sizes(report, &node).await?;

    node.kill().await?;
    let restart = node.launch().await?;
    report.add("large_restart", restart.as_secs_f64(), "s", Goal::AtMost(2.0));
    node.stop().await
}

/// What a record takes in sealed segments, and that all of them are whole.
async fn sizes(report: &mut Report, node: &Node) -> anyhow::Result<()> {
    let began = Instant::now();
    let (files, done) = verify(&mut node.client().await?).await?;
    let sealed = files.iter().filter(|file| file.name.starts_with("segments/"));
    let (bytes, records) = sealed.fold((0, 0), |(bytes, records), file| {
        let offsets = file.offsets.unwrap_or_default();
        (bytes + file.bytes, records + offsets.end - offsets.first)
    });
    report.add("large_disk", bytes as f64 / records as f64, "bytes/record", Goal::AtMost(60.0));
    report.add("large_wal", node.bytes_of("wal")? as f64 / 1024.0 / 1024.0, "MiB", Goal::Stated);
    report.add("large_verify", began.elapsed().as_secs_f64(), "s", Goal::Stated);
    report.add("large_verify_findings", done.findings as f64, "findings", Goal::AtMost(0.0));
    Ok(())
}

/// One instance whose records are made as they are shipped, so that no two are alike.
struct Writer {
    producer: Producer,
    generator: Generator,
}

impl Writer {
    async fn new(node: &Node, number: u64) -> anyhow::Result<Self> {
        let service = SERVICES[number as usize % SERVICES.len()];
        let name = format!("{service}-{}", number / SERVICES.len() as u64);
        let producer = Producer::new(node, service, &name, Pool::new(0, 0)).await?;
        Ok(Self { producer, generator: Generator::new(number) })
    }

    async fn ship(&mut self, count: u64) -> anyhow::Result<()> {
        let mut time = i64::try_from(jiff::Timestamp::now().as_nanosecond())?;
        let first = self.producer.acknowledged + 1;
        let records: Vec<LogRecord> = (first..first + count)
            .map(|sequence| {
                time += 1000;
                LogRecord { sequence, ..self.generator.next(time) }
            })
            .collect();
        self.producer.ship_these(&records).await?;
        Ok(())
    }
}

/// Ships so many records, all producers together, at a rate or as fast as it goes.
async fn load(writers: Vec<Writer>, records: u64, rate: Option<u64>) -> anyhow::Result<Vec<Writer>> {
    let each = records / writers.len() as u64;
    let began = Instant::now();
    let interval = rate.map(|rate| Duration::from_secs_f64((SHIPMENT * PRODUCERS) as f64 / rate as f64));
    let work = |(mut writer, number): (Writer, u32)| async move {
        let (mut left, mut due) = (each, began);
        if let Some(interval) = interval {
            due += interval / u32::try_from(PRODUCERS)? * number;
        }
        while left > 0 {
            if let Some(interval) = interval {
                tokio::time::sleep_until(due).await;
                due += interval;
            }
            let count = left.min(SHIPMENT);
            writer.ship(count).await?;
            left -= count;
        }
        anyhow::Ok(writer)
    };
    let crowd: Vec<_> = writers.into_iter().zip(0_u32..).map(|one| mesh::spawn("writer", work(one))).collect();
    let mut writers = Vec::new();
    for writer in crowd {
        writers.push(writer.await??);
    }
    Ok(writers)
}
