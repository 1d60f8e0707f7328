//! The same in etcd, of Debian's package `etcd-server`, as it comes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use harness::system::{free_port, loopback};
use harness::{Process, Program};
use tempfile::TempDir;

use crate::bench::measure::{Goal, Report};
use crate::bench::registry::fan::SHARED;
use crate::bench::registry::herd::Herd;
use crate::bench::registry::instances::{Cost, INSTANCES};
use crate::bench::registry::lapse::LEASES;

/// Where Debian's packages put programs.
const PROGRAMS: &str = "/usr/bin";

/// etcd syncs each write to its disk. Ours keeps nothing on disk, so etcd's is memory: it is
/// the work that is compared, not the disk.
const MEMORY: &str = "/dev/shm";

pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    if !Path::new(PROGRAMS).join("etcd").exists() || !Path::new(MEMORY).exists() {
        println!("etcd SKIPPED: install etcd-server");
        return Ok(());
    }
    let seconds = each.as_secs();
    let rate = ask(&format!("etcd register --seconds {seconds}"), "rate").await?;
    report.add("etcd_register_rate", rate, "requests/s", Goal::Stated);

    let etcd = Etcd::start().await?;
    let cost = Cost::begin(etcd.process.pid().context("it runs")?).await?;
    let herd = Herd::ready(etcd.address, &format!("etcd instances --count {INSTANCES}")).await?;
    cost.add(report, "etcd_", (Goal::Stated, Goal::Stated)).await?;
    drop((herd, etcd));

    report.add("etcd_hang_to_down", ask("etcd hang", "hang_ms").await?, "ms", Goal::Stated);
    let p99 = ask(&format!("etcd {SHARED}"), "p99_ms").await?;
    report.add("etcd_watch_10000_over_100_p99", p99, "ms", Goal::Stated);
    let lapsed = ask(&format!("etcd lapse --count {LEASES}"), "lapse_ms").await?;
    report.add("etcd_leases_10000_lapsed", lapsed, "ms", Goal::Stated);
    Ok(())
}

/// What a herd says of an etcd that nobody used before.
async fn ask(arguments: &str, name: &str) -> anyhow::Result<f64> {
    let etcd = Etcd::start().await?;
    Herd::start(etcd.address, arguments)?.says(name).await
}

/// A running etcd.
struct Etcd {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Etcd {
    /// Starts it with its defaults, and waits until it takes writes.
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("rundoo-etcd-").tempdir_in(MEMORY)?;
        let (address, peers) = (loopback(free_port()?), loopback(free_port()?));
        let (clients, peers) = (format!("http://{address}"), format!("http://{peers}"));
        // etcd does not end with its standard input; this ends it with whoever started it.
        let process = ["--pdeathsig", "KILL", "--", "etcd", "--name", "alone", "--log-level", "error"]
            .into_iter()
            .fold(Program::new(Path::new(PROGRAMS), "setpriv", folder.path()).label("etcd"), Program::argument)
            .argument("--data-dir")
            .argument(folder.path().display().to_string())
            .argument(format!("--listen-client-urls={clients}"))
            .argument(format!("--advertise-client-urls={clients}"))
            .argument(format!("--listen-peer-urls={peers}"))
            .argument(format!("--initial-advertise-peer-urls={peers}"))
            .argument(format!("--initial-cluster=alone={peers}"))
            .start()?;
        harness::eventually("etcd is healthy", async || {
            let page = harness::http::get(address, "/health").await?;
            anyhow::ensure!(page.text.contains("true"), "{}", page.text);
            Ok(())
        })
        .await;
        Ok(Self { process, address, _folder: folder })
    }
}
