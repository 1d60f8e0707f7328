//! Hard times for real processes: they are killed or attacked for as long as one likes, and what is left is compared
//! with what was promised.

mod door;

use std::process::ExitCode;
use std::time::Duration;

use harness::binaries;
use harness::logs::crashes::{self, Plan};
use harness::logs::{Node, last_words};
use tokio::time::Instant;

/// What a restart may take.
const RESTART: Duration = Duration::from_secs(2);

/// What `soak` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The log service: killed under load, everything acknowledged must be there once
    Logs(Logs),
    /// Whatever reads what strangers send: path templates, JSON, page tokens, filters, CSV, cookies
    Fuzz(Fuzz),
    /// The portal's door: bad passwords from everywhere, while others are served
    Door(door::Door),
}

#[derive(Debug, Clone, clap::Args)]
struct Fuzz {
    /// Inputs for each property; the suite takes 256
    #[arg(long, default_value_t = 20_000)]
    cases: u32,
}

impl Fuzz {
    /// Runs the properties of the suite that are named so, with more inputs.
    fn run(&self) -> anyhow::Result<ExitCode> {
        let status = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--release", "--workspace", "--lib", "fuzz::"])
            .env("PROPTEST_CASES", self.cases.to_string())
            .status()?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[derive(Debug, Clone, clap::Args)]
struct Logs {
    /// How often the log service is killed
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,

    /// End after so many minutes, whether all kills are done or not
    #[arg(long, default_value_t = 60)]
    minutes: u64,

    /// How often a service that logs is killed
    #[arg(long, default_value_t = 20)]
    services: u32,

    /// For the same moments again; any other ones when it is not given
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs until all is done, or until something is lost.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let logs = match arguments.what {
        Some(What::Door(door)) => return door::run(door).await,
        Some(What::Logs(logs)) => logs,
        Some(What::Fuzz(fuzz)) => return fuzz.run(),
        None => Logs { kills: 500, minutes: 60, services: 20, seed: None },
    };
    let seed = logs.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let began = Instant::now();
    let plan = Plan {
        kills: logs.kills,
        time: Duration::from_secs(logs.minutes * 60),
        check_every: 25,
        producers: 6,
        longest_life: Duration::from_millis(1200),
        most_at_once: 4000,
        pause: Duration::from_millis(40),
        seed,
    };
    let mut node = Node::new(&binaries::folder()?)?;
    let outcome = crashes::run(&mut node, &plan, |so_far| {
        println!(
            "{:>6.0} s: killed {} times, {} acknowledged, {} stored, nothing lost, nothing twice",
            began.elapsed().as_secs_f64(),
            so_far.kills,
            so_far.acknowledged,
            so_far.stored
        );
    })
    .await?;
    let slowest = outcome.restarts.iter().max().copied().unwrap_or_default();
    let slow = if slowest > RESTART { " (more than the goal)" } else { "" };
    println!(
        "log service killed {} times ({} of them while it started) under {} producers: {} records acknowledged, 0 lost, 0 twice",
        outcome.kills, outcome.kills_at_start, plan.producers, outcome.acknowledged
    );
    println!("shipments that broke and were sent again: {}", outcome.broken);
    println!("slowest restart: {:.2} s of {:.0} s at most{slow}", slowest.as_secs_f64(), RESTART.as_secs_f64());
    println!("verified: {} files with {} records, no findings", outcome.verified.0, outcome.verified.1);
    if logs.services > 0 {
        let outcome = last_words::run(&binaries::folder()?, logs.services, seed).await?;
        println!(
            "services killed {} times: {} events told, {} of them by the next start, no hole, 0 twice",
            outcome.kills, outcome.told, outcome.last_words
        );
    }
    Ok(if slowest > RESTART { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
