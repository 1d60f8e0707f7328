//! A log service that is killed at random moments, while producers that keep the contract ship to it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Census, Client, Node, Producer, reading};

/// A producer with more than this waiting says nothing new.
const MOST_PENDING: usize = 5000;

/// Between a shipment that failed and the next one.
const BACKOFF: Duration = Duration::from_millis(10);

/// What is to happen.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often it is killed.
    pub kills: u32,
    /// It ends after this time in any case.
    pub time: Duration,
    /// After so many kills everything that is new is compared.
    pub check_every: u32,
    /// How many producers ship at the same time.
    pub producers: usize,
    /// It lives for a random time up to this.
    pub longest_life: Duration,
    /// Records that a producer says before it ships, at most: a random number from one to this.
    pub most_at_once: usize,
    /// Each producer waits so long between two shipments.
    pub pause: Duration,
    /// For the same moments again.
    pub seed: u64,
}

/// What came of it. Anything lost or doubled is an error instead.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// How often it was killed.
    pub kills: u32,
    /// How often of these it did not serve yet.
    pub kills_at_start: u32,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Records that are stored; a few of them were not acknowledged before the last kill.
    pub stored: u64,
    /// Shipments that failed and were sent again.
    pub broken: u64,
    /// From the start of the process to the moment it serves, each time.
    pub restarts: Vec<Duration>,
    /// Files that were verified at the end, and records in them.
    pub verified: (u64, u64),
}

/// Kills and compares. `tell` hears of each comparison.
pub async fn run(node: &mut Node, plan: &Plan, mut tell: impl FnMut(&Outcome)) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    outcome.restarts.push(node.launch().await?);
    let crowd = Crowd::start(node, plan).await?;
    let mut client = node.client().await?;
    let mut census = Census::default();
    let mut random = Rng::with_seed(plan.seed);
    let began = Instant::now();
    let (mut is_last, mut checked) = (false, 0);
    while !is_last {
        let life = plan.longest_life.mul_f64(random.f64());
        tokio::time::sleep(life).await;
        kill(node, &mut random, &mut outcome).await?;
        if crowd.has_failed() {
            break;
        }
        is_last = outcome.kills >= plan.kills || began.elapsed() > plan.time;
        if outcome.kills >= checked + plan.check_every || is_last {
            checked = outcome.kills;
            crowd.compare(&mut census, &mut client, &mut outcome).await?;
            tell(&outcome);
        }
    }
    crowd.end().await?;
    let (files, done) = reading::verify(&mut client).await?;
    let findings: Vec<&String> = files.iter().flat_map(|file| &file.findings).collect();
    anyhow::ensure!(findings.is_empty() && done.findings == 0, "verify says {findings:?}");
    outcome.verified = (done.files, done.records);
    Ok(outcome)
}

/// Kills it, sometimes again while it starts, and starts it.
async fn kill(node: &mut Node, random: &mut Rng, outcome: &mut Outcome) -> anyhow::Result<()> {
    node.kill().await?;
    outcome.kills += 1;
    if random.u32(0..4) == 0 {
        node.spawn()?;
        tokio::time::sleep(Duration::from_millis(random.u64(0..60))).await;
        node.kill().await?;
        outcome.kills += 1;
        outcome.kills_at_start += 1;
    }
    outcome.restarts.push(node.launch().await?);
    Ok(())
}

/// Producers, each with a task of its own.
struct Crowd {
    producers: Vec<Arc<Mutex<Producer>>>,
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
    stop: CancellationToken,
}

impl Crowd {
    async fn start(node: &Node, plan: &Plan) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (mut producers, mut tasks) = (Vec::new(), Vec::new());
        for number in 0..plan.producers {
            let seed = plan.seed + number as u64 + 1;
            let service = ["orders", "stock", "prices"][number % 3];
            let producer = Arc::new(Mutex::new(Producer::new(service, &format!("producer-{number}"), seed)));
            let client = node.client().await?;
            let work = ship(producer.clone(), client, Rng::with_seed(seed), plan.clone());
            let stopped = stop.clone();
            tasks.push(mesh::spawn("producer", async move {
                // Ends between two shipments, or where one was: it counts as broken.
                stopped.run_until_cancelled(work).await.unwrap_or(Ok(()))
            }));
            producers.push(producer);
        }
        Ok(Self { producers, tasks, stop })
    }

    /// Whether a producer gave up; the end says why.
    fn has_failed(&self) -> bool {
        self.tasks.iter().any(|task| task.is_finished())
    }

    async fn compare(&self, census: &mut Census, client: &mut Client, outcome: &mut Outcome) -> anyhow::Result<()> {
        let mut producers = Vec::new();
        for producer in &self.producers {
            producers.push(producer.lock().await);
        }
        let all: Vec<&Producer> = producers.iter().map(|producer| &**producer).collect();
        outcome.stored = census.take(client, &all).await?;
        outcome.acknowledged = all.iter().map(|producer| producer.acknowledged()).sum();
        outcome.broken = all.iter().map(|producer| producer.broken()).sum();
        Ok(())
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            task.await?.context("a producer")?;
        }
        Ok(())
    }
}

/// Says some records, ships until that worked, and so on.
async fn ship(producer: Arc<Mutex<Producer>>, mut client: Client, mut random: Rng, plan: Plan) -> anyhow::Result<()> {
    loop {
        let mut producer = producer.lock().await;
        if producer.pending() < MOST_PENDING {
            producer.say(random.usize(1..=plan.most_at_once));
        }
        let worked = producer.ship(&mut client).await?;
        drop(producer);
        tokio::time::sleep(if worked { plan.pause } else { BACKOFF }).await;
    }
}
