//! One minute: three product services under load, one is killed, nobody notices but the registry.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use harness::system::{Options, Role, System};
use owo_colors::AnsiColors;
use proto::products::{CreateProductRequest, GetProductRequest};
use proto::registry::{DiscoverRequest, InstanceState};
use tokio::time::Instant;

use crate::say::{self, bold, coloured};
use crate::up::sentence;

/// Readers that ask all the time.
const READERS: usize = 16;

/// Seconds between two looks at the readers.
const SHOWN_EVERY: u64 = 4;

/// Runs the demonstration in a folder of its own, beside whatever else runs.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    chapter("Three product services, a registry, a log service and a portal start");
    let mut system = System::with(Options { products: 3, ..Options::default() }).await?;
    show_instances(&system).await?;

    chapter(&format!("{READERS} readers ask for products, all the time"));
    let traffic = read(&system).await?;
    pause(&traffic, 16).await;

    let victim = Role::Products(1);
    let address = system.address(victim)?.to_string();
    let instance = system
        .instances()
        .await?
        .into_iter()
        .find(|instance| instance.address == address)
        .context("the victim is registered")?;
    chapter(&format!("kill -9 productsvc/{}", instance.instance_id));
    let killed = Instant::now();
    system.kill(victim).await?;
    let down = down(&system, &instance.instance_id).await?;
    println!(
        "  {}   {}",
        sentence(&down),
        coloured(&format!("{:.0} ms after the kill", killed.elapsed().as_secs_f64() * 1e3), AnsiColors::Green)
    );
    pause(&traffic, 16).await;

    chapter("Its last lines, in app.log");
    show_last_lines(&system, &instance.instance_id);

    chapter("Started again, it is found by everyone");
    let back = Instant::now();
    system.launch(victim).await?;
    system.ready().await;
    let reborn = system.address(victim)?.to_string();
    let reborn = system
        .instances()
        .await?
        .into_iter()
        .find(|instance| instance.address == reborn)
        .context("it is registered")?;
    println!(
        "  {}   {}",
        sentence(&reborn),
        coloured(&format!("{:.0} ms after the start", back.elapsed().as_secs_f64() * 1e3), AnsiColors::Green)
    );
    pause(&traffic, 16).await;

    let outcome = traffic.end().await;
    chapter("In the end");
    let verdict = format!("{} reads, {} failed", outcome.answered, outcome.failed);
    let colour = if outcome.failed == 0 { AnsiColors::Green } else { AnsiColors::Red };
    println!(
        "  {} · p50 {:.1?} · p99 {:.1?}",
        coloured(&verdict, colour),
        outcome.quantile(0.5),
        outcome.quantile(0.99)
    );
    outcome.failures.iter().for_each(|failure| println!("  {failure}"));
    for role in system.roles().into_iter().rev() {
        system.stop(role).await?;
    }
    Ok(if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chapter(text: &str) {
    println!("\n{} {}", say::clock(), bold(text));
}

async fn show_instances(system: &System) -> anyhow::Result<()> {
    for instance in system.instances().await? {
        println!("  {}", sentence(&instance));
    }
    Ok(())
}

fn show_last_lines(system: &System, instance_id: &str) {
    let name = format!(" productsvc/{instance_id}#");
    let log = system.app_log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&name)).collect();
    lines.iter().rev().take(4).rev().for_each(|line| println!("  {line}"));
}

async fn read(system: &System) -> anyhow::Result<Traffic> {
    let products = system.products();
    let request = CreateProductRequest {
        name: "2x4x8 SPF Stud KD".into(),
        category: "Lumber/Framing".into(),
        sku: "LBR-2X4-8".into(),
        ..Default::default()
    };
    let created = products.clone().create_product(request).await?.into_inner().product.context("it was created")?;
    let call = move || {
        let mut products = products.clone();
        async move {
            let mut request = tonic::Request::new(GetProductRequest { id: created.id, ..Default::default() });
            request.set_timeout(Duration::from_secs(5));
            products.get_product(request).await.map_err(|status| anyhow::anyhow!("{status}"))?;
            Ok(())
        }
    };
    Ok(Traffic::start(READERS, Duration::from_millis(4), call))
}

async fn pause(traffic: &Traffic, seconds: u64) {
    for _ in 0..seconds / SHOWN_EVERY {
        let before = traffic.answered();
        tokio::time::sleep(Duration::from_secs(SHOWN_EVERY)).await;
        println!("  {} {} reads a second", say::clock(), (traffic.answered() - before) / SHOWN_EVERY);
    }
}

/// Waits until the registry says DOWN.
async fn down(system: &System, instance_id: &str) -> anyhow::Result<proto::registry::Instance> {
    let request = DiscoverRequest { service: "productsvc".into(), include_down: true, ..Default::default() };
    loop {
        let listed = system.registry().discover(request.clone()).await?.into_inner().instances;
        let found = listed.into_iter().find(|instance| instance.instance_id == instance_id);
        if let Some(found) = found.filter(|instance| instance.state() == InstanceState::Down) {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
