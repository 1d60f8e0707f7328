//! What an event costs the thread that says it: enabled, with two fields, inside a call; and disabled.
//!
//! `cargo bench -p rundoo-mesh --bench event`. It measures a whole process as any service
//! is one: with a terminal that somebody reads, a shipper that writes through to a spool,
//! and a log service that is away. Events come in rounds, so that nothing overflows.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use mesh::{App, Call, Config, Settings};

const ROUNDS: usize = 400;
const EVENTS: u32 = 500;

/// What the child prints its figures after.
const FIGURES: &str = "figures: ";

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    mesh: Config,
}

impl Settings for Options {
    fn mesh(&self) -> &Config {
        &self.mesh
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("measured") {
        let options = Options::parse_from(["event", "--registry", "127.0.0.1:9", "--stop-on-eof"]);
        return mesh::run("event", options, measure);
    }
    match run() {
        Ok(figures) => println!("{figures}"),
        Err(error) => println!("could not measure: {error}"),
    }
    ExitCode::SUCCESS
}

/// Runs the measured process, reads all that it shows, and answers what it measured.
fn run() -> std::io::Result<String> {
    let spool = tempfile::tempdir()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("measured")
        .env("RUNDOO_SPOOL", spool.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        stderr.map(|mut stderr| stderr.read_to_end(&mut lines))
    });
    let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok);
    let figures: Vec<String> = lines.filter_map(|line| Some(line.strip_prefix(FIGURES)?.to_owned())).take(2).collect();
    // Its standard input ends, and with it the process.
    drop(stdin);
    let _read = reader.join();
    child.wait()?;
    Ok(figures.join("\n"))
}

async fn measure(app: &mut App, options: Options) -> anyhow::Result<()> {
    let _mesh = app.join(&options.mesh.registry.addresses);
    let call = Call::begin(&http::HeaderMap::new());
    call.scope(async {
        let shown = rounds(|n| tracing::info!(product.id = n, name = "saw", "created product {n}")).await;
        say("enabled, two fields, in a call, terminal included", shown);
        let disabled = rounds(|n| tracing::debug!(product.id = n, name = "saw", "created product {n}")).await;
        say("disabled", disabled);
    })
    .await;
    Ok(())
}

/// Nanoseconds for each event, a figure for each round, sorted.
async fn rounds(event: impl Fn(u32)) -> Vec<f64> {
    let mut figures = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for n in 0..EVENTS {
            event(std::hint::black_box(n));
        }
        figures.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(EVENTS));
        // Time for those who carry it away, as between requests.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    figures.sort_by(f64::total_cmp);
    figures
}

fn say(what: &str, figures: Vec<f64>) {
    let (p50, p99) = (figures[figures.len() / 2], figures[figures.len() * 99 / 100]);
    println!("{FIGURES}{what}: p50 {p50:.1} ns, p99 {p99:.1} ns an event");
}
