//! A service that is killed while the log service is away: what it said reaches the log with its next start.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;

use super::Lab;
use crate::eventually;

/// Events a second.
const RATE: u32 = 2000;

/// It lives for a random time up to this while the log service is away.
const LONGEST_LIFE: Duration = Duration::from_millis(1500);

/// A service hands records to its spool within this time: what it says last dies with it.
const UNSPOOLED: Duration = Duration::from_millis(1000);

/// What came of it. A hole or a repetition is an error instead.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// How often a service was killed.
    pub kills: u32,
    /// Events that reached the log.
    pub told: u64,
    /// Of these, such as somebody else shipped for the dead.
    pub last_words: u64,
}

/// Kills services, each while the log service is away, and reads what the next start makes of it.
pub async fn run(binaries: &Path, kills: u32, seed: u64) -> anyhow::Result<Outcome> {
    let mut random = Rng::with_seed(seed);
    let mut lab = Lab::start(binaries, &[]).await?;
    let mut outcome = Outcome::default();
    let mut heir = lab.speaker(&[]).await?;
    for kill in 1..=kills {
        let name = format!("life{kill}");
        // Sometimes it dies with the log service there.
        let is_away = random.u32(0..4) > 0;
        if is_away {
            lab.kill_logs().await?;
        }
        heir.log(&name, u32::MAX, RATE, 0).await?;
        let life = UNSPOOLED + LONGEST_LIFE.mul_f64(random.f64());
        tokio::time::sleep(life).await;
        heir.kill().await?;
        outcome.kills = kill;
        if is_away {
            lab.launch_logs().await?;
        }
        heir = lab.speaker(&[]).await?;
        let least = u64::from(RATE) * u64::try_from((life - UNSPOOLED).as_millis())? / 1000;
        let (told, last_words) = eventually("what it said is in the log", async || {
            let rows = lab.said(&name).await?;
            let told = contiguous(&rows)?;
            anyhow::ensure!(told >= least, "{told} of at least {least}");
            Ok((told, rows.iter().filter(|row| row.last_words).count() as u64))
        })
        .await;
        outcome.told += told;
        outcome.last_words += last_words;
        // What comes later would be a repetition.
        tokio::time::sleep(Duration::from_millis(300)).await;
        contiguous(&lab.said(&name).await?)?;
    }
    anyhow::ensure!(outcome.last_words > 0, "nothing was marked as last words: {outcome:?}");
    Ok(outcome)
}

/// How many events are there: from the first one on, each once.
fn contiguous(rows: &[proto::logs::StoredRecord]) -> anyhow::Result<u64> {
    let mut numbers = BTreeSet::new();
    for record in rows.iter().filter_map(|row| row.record.as_ref()) {
        let field = record.fields.iter().find(|field| field.name == "event.number").context("no number")?;
        let number: u64 = field.value.parse()?;
        anyhow::ensure!(numbers.insert(number), "TWICE: event {number}");
    }
    let count = numbers.len() as u64;
    // In a crash the end is lost, never the middle.
    anyhow::ensure!(numbers.last().is_none_or(|last| *last == count), "LOST: {count} of {:?}", numbers.last());
    Ok(count)
}
