//! The log service is away while services log on: nothing is lost within the spool, and past it the gap is exact.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use harness::binaries;
use harness::logs::Lab;
use proto::logs::StoredRecord;
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};

/// Events a second of each of two services.
const RATE: u32 = 1000;

/// What is said after the log service came back.
const MARGIN: Duration = Duration::from_secs(2);

/// Until everything that waited has arrived.
const PATIENCE: Duration = Duration::from_secs(120);

/// A spool that is soon full.
const SMALL_SPOOL: &str = "1048576";

/// Events that do not fit into memory and that spool, with so many bytes more in each.
const TOO_MANY: u32 = 60_000;
const PADDING: u32 = 1000;

pub(super) async fn measure(report: &mut Report, away: Duration) -> anyhow::Result<()> {
    let mut lab = Lab::start(&binaries::folder()?, &[]).await?;
    let speakers = [lab.speaker(&[]).await?, lab.speaker(&[]).await?];
    let count = RATE * u32::try_from((away + MARGIN).as_secs())?;
    for (speaker, name) in speakers.iter().zip(["first", "second"]) {
        speaker.log(name, count, RATE, 0).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    lab.kill_logs().await?;
    tokio::time::sleep(away).await;
    lab.launch_logs().await?;
    let back = Instant::now();
    let mut lost = 0;
    for name in ["first", "second"] {
        let told = until_told(&lab, name, count).await?;
        lost += told.lost;
        anyhow::ensure!(told.twice == 0, "{} events of {name} are there twice", told.twice);
    }
    report.add("away_for", away.as_secs_f64(), "s", Goal::Stated);
    report.add("away_rate", f64::from(RATE), "records/s/service", Goal::Stated);
    report.add("away_lost", lost as f64, "records", Goal::AtMost(0.0));
    report.add("away_caught_up_after", back.elapsed().as_secs_f64(), "s", Goal::Stated);
    drop(speakers);

    let small = [("RUNDOO_SPOOL_BYTES", SMALL_SPOOL.to_owned())];
    let speaker = lab.speaker(&small).await?;
    lab.kill_logs().await?;
    speaker.log("overflow", TOO_MANY, 0, PADDING).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    lab.launch_logs().await?;
    let told = until_told(&lab, "overflow", TOO_MANY).await?;
    report.add("away_overflow_stored", told.stored as f64, "records", Goal::Stated);
    report.add("away_overflow_lost", told.lost as f64, "records", Goal::Stated);
    report.add("away_overflow_hidden", told.hidden as f64, "records", Goal::AtMost(0.0));
    Ok(())
}

/// What became of the events of one name.
#[derive(Debug, Default)]
struct Told {
    stored: u64,
    twice: u64,
    /// Said to be lost, by gap records of the same instances.
    lost: u64,
    /// Neither stored nor said to be lost.
    hidden: u64,
}

/// Waits until each event is there or said to be lost.
async fn until_told(lab: &Lab, name: &str, count: u32) -> anyhow::Result<Told> {
    let began = Instant::now();
    loop {
        // Whoever said them may have lost others too: those are in the same gap.
        let rows = lab.said(name).await?;
        let told = tell(&rows, &lab.said("").await?, count);
        let arrived = told.as_ref().is_ok_and(|told| told.hidden == 0);
        if arrived || began.elapsed() > PATIENCE {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn tell(rows: &[StoredRecord], all: &[StoredRecord], count: u32) -> anyhow::Result<Told> {
    let instance = &rows.first().context("nothing came")?.instance_id;
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    for record in rows.iter().filter_map(|row| row.record.as_ref()) {
        if let Some(number) = record.fields.iter().find(|field| field.name == "event.number") {
            *numbers.entry(&number.value).or_default() += 1;
        }
    }
    let gaps = all.iter().filter(|row| row.instance_id == *instance).filter_map(|row| row.record.as_ref());
    let lost = gaps.flat_map(|record| &record.lost).map(|lost| lost.count).sum();
    let stored = numbers.len() as u64;
    let twice = numbers.values().map(|times| times - 1).sum();
    Ok(Told { stored, twice, lost, hidden: u64::from(count).saturating_sub(stored + lost) })
}
