//! The specimen as a process: a service of the mesh like any other, that does what it is told.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser as _;
use harness::specimen::specimen_service_server::SpecimenServiceServer;
use harness::specimen::{DESCRIPTORS, SERVICE, Task};
use mesh::{App, Limits, Services, Sign};

mod service;

use service::Specimen;

/// A service that does what it is told: what tests and benchmarks show the mesh with.
#[derive(Debug, clap::Parser)]
#[command(name = "specimen", version)]
struct Config {
    /// Where to serve gRPC; port 0 takes any free one
    #[arg(long, env = "SPECIMEN_LISTEN", default_value = "127.0.0.1:0", value_name = "IP:PORT")]
    listen: SocketAddr,

    /// Wait so long before each answer
    #[arg(long, env = "SPECIMEN_WAIT_US", default_value_t = 0, value_name = "MICROSECONDS")]
    wait_us: u64,

    /// Keep a core busy for so long before each answer
    #[arg(long, env = "SPECIMEN_WORK_US", default_value_t = 0, value_name = "MICROSECONDS")]
    work_us: u64,

    /// Answer each call with this status
    #[arg(long, env = "SPECIMEN_CODE", default_value_t = 0, value_name = "NUMBER")]
    code: i32,

    /// Refuse calls as soon as a few wait, because each should be answered in milliseconds
    #[arg(long, env = "SPECIMEN_STRICT")]
    strict: bool,

    /// Its share of calls; 0 is the usual one
    #[arg(long, env = "SPECIMEN_WEIGHT", default_value_t = 0)]
    weight: u32,

    /// Settings that every process shares.
    #[command(flatten)]
    mesh: mesh::Config,
}

impl mesh::Settings for Config {
    fn mesh(&self) -> &mesh::Config {
        &self.mesh
    }
}

/// The bounds of a service that says that a call should take a few milliseconds.
const STRICT: Limits = Limits { unhurried: Duration::from_millis(1), least: 2, first: 8, most: 1000 };

async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need.
    let mesh = app.join(&config.mesh.registry.addresses);

    // What we are.
    let duration = |micros| Duration::from_micros(micros).try_into().ok();
    let task = Task { wait: duration(config.wait_us), work: duration(config.work_us), code: config.code, panic: false };
    let specimen = SpecimenServiceServer::new(Specimen::new(app.identity().to_string(), task));

    // What we offer.
    let bounds = if config.strict { STRICT } else { Limits::default() };
    let services = Services::behind(app.inbound().replace(app.limit(bounds))).add(specimen, DESCRIPTORS);

    // Open the door, then put up the sign.
    let door = app.listen(config.listen).await?;
    let sign = Sign::at(door.address()).weight(config.weight);
    app.serve(door, services).await?;
    app.register(&mesh, sign)
}

fn main() -> std::process::ExitCode {
    mesh::run(SERVICE, Config::parse(), wire)
}
