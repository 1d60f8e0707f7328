//! rsyslog, where it is installed: RELP into it, and each record on disk before it is acknowledged.
//!
//! RELP acknowledges what is in the main queue. Two settings make that durable: a
//! queue on disk whose files are forced (`disk_queue`), and no queue at all before a
//! file that is forced (`direct`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use harness::logs::Generator;
use harness::system::{free_port, loopback};
use harness::{Process, Program};
use tokio::time::Instant;

use crate::bench::disk;
use crate::bench::logs::COMMIT;
use crate::bench::logs::relp;
use crate::bench::measure::{Goal, Report};

/// Where Debian puts it, and its modules.
const PROGRAM: &str = "/usr/sbin/rsyslogd";

/// Connections at the same time, as many as there are producers of ours.
const CONNECTIONS: usize = 8;

/// Different records.
const POOL: usize = 50_000;

/// Longer than it takes to listen.
const START: Duration = Duration::from_secs(10);

/// Before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);

pub(super) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    if !has_relp() {
        println!("rsyslog SKIPPED: apt-get install rsyslog rsyslog-relp");
        return Ok(());
    }
    let records = Arc::new(records());
    let folder = tempfile::Builder::new().prefix("rundoo-").tempdir()?;
    disk::measure(report, folder.path(), COMMIT)?;
    for (name, queue, sync) in [("disk_queue", DISK_QUEUE, "off"), ("direct", DIRECT, "on")] {
        let folder = tempfile::Builder::new().prefix("rundoo-").tempdir()?;
        let address = loopback(free_port()?);
        let mut process = start(folder.path(), address, queue, sync)?;
        until_it_listens(&mut process, address).await?;
        let begin = Instant::now() + WARM_UP;
        let crowd: Vec<_> = (0..CONNECTIONS)
            .map(|_| mesh::spawn("relp", relp::send(address, records.clone(), begin, begin + each)))
            .collect();
        let mut acknowledged = 0;
        for sender in crowd {
            acknowledged += sender.await??;
        }
        let rate = acknowledged as f64 / each.as_secs_f64();
        report.add(&format!("rsyslog_{name}_rate"), rate, "records/s", Goal::Stated);
        // There may be a queue to write out, which nobody waits for.
        process.kill().await?;
    }
    Ok(())
}

/// Everything that was acknowledged is in files that were forced to disk, their positions too.
const DISK_QUEUE: &str = r#"main_queue(queue.type="Disk" queue.filename="main" queue.syncqueuefiles="on" queue.checkpointinterval="1" queue.maxdiskspace="8g")"#;

/// Whoever receives a record writes it.
const DIRECT: &str = r#"main_queue(queue.type="Direct")"#;

fn has_relp() -> bool {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut modules = folders.map(|folder: PathBuf| folder.join("rsyslog/imrelp.so"));
    Path::new(PROGRAM).exists() && modules.any(|module| module.exists())
}

fn start(folder: &Path, address: SocketAddr, queue: &str, sync: &str) -> anyhow::Result<Process> {
    let (work, port) = (folder.display(), address.port());
    let configuration = format!(
        r#"global(workDirectory="{work}" maxMessageSize="8k")
module(load="imrelp")
{queue}
input(type="imrelp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{work}/records.log" sync="{sync}")
"#
    );
    let path = folder.join("rsyslog.conf");
    std::fs::write(&path, configuration)?;
    let arguments = ["-n".to_owned(), "-f".into(), path.display().to_string(), "-i".into(), format!("{work}/pid")];
    let program = Program::new(Path::new("/usr/sbin"), "rsyslogd", folder);
    arguments.into_iter().fold(program, Program::argument).start()
}

async fn until_it_listens(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    let began = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        let is_there = process.ended().is_none() && began.elapsed() < START;
        anyhow::ensure!(is_there, "rsyslog does not listen:\n{}", process.output());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The same words as ours, as syslog has them.
fn records() -> Vec<Bytes> {
    let mut generator = Generator::new(1);
    let mut line = || {
        let record = generator.next(1_700_000_000_000_000_000);
        let fields: Vec<String> =
            record.fields.iter().map(|field| format!("{}=\"{}\"", field.name, field.value)).collect();
        let (request, trace) = (&record.request_id, &record.trace_id);
        let about = format!("[rundoo request_id=\"{request}\" trace_id=\"{trace}\" {}]", fields.join(" "));
        let line = format!("<134>1 2026-11-25T03:00:00.000000Z orders producer-1 - - {about} {}", record.message);
        Bytes::from(line)
    };
    std::iter::repeat_with(&mut line).take(POOL).collect()
}
