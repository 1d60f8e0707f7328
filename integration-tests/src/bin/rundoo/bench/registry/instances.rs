//! 5,000 instances: what they cost, and how they outlive a registry that stops or dies.

use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use proto::registry::{EventKind, WatchEventsRequest};
use rustix::process::Signal;
use tokio::time::{Instant, timeout_at};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::bench::echo::Echo;
use crate::bench::measure::{Goal, Report};
use crate::bench::process::{cpu_ticks, resident_bytes};
use crate::bench::registry::herd::Herd;
use crate::bench::registry::node::Node;
use crate::bench::registry::watcher::Watcher;

/// How many there are.
pub(crate) const INSTANCES: usize = 5000;

/// A connection's memory grows until its beats have once filled the buffer that they are read into,
/// which takes four minutes. These many beats in quick succession show it as it stays.
const QUICK_BEATS: usize = 120;

/// What starting them stirs up is over after this.
const REST: Duration = Duration::from_secs(3);

/// Beats are counted for this long: ten of each instance.
const BEATS: Duration = Duration::from_secs(20);

/// The registry stops for this long, and is looked at for this long afterwards: two leases and more.
const PAUSE: Duration = Duration::from_secs(10);
const AFTERMATH: Duration = Duration::from_secs(15);

/// Calls are made until the registry, started again, has warmed up and said so: a lease and more.
const WARMING: Duration = Duration::from_secs(10);

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut node = Node::start().await?;
    let cost = Cost::begin(node.pid()?).await?;
    let arguments = format!("instances --service many --count {INSTANCES} --quick-beats {QUICK_BEATS}");
    let _herd = Herd::ready(node.address(), &arguments).await?;
    cost.add(report, "", (Goal::AtMost(25.0), Goal::AtMost(10.0))).await?;
    pause(&node, report).await?;
    restart(&mut node, report).await
}

/// What a process takes more than before it had instances.
pub(crate) struct Cost {
    pid: u32,
    bytes_before: f64,
}

impl Cost {
    /// Looks at a process that has just started and serves nobody yet.
    pub(crate) async fn begin(pid: u32) -> anyhow::Result<Self> {
        tokio::time::sleep(REST).await;
        Ok(Self { pid, bytes_before: resident_bytes(pid)? })
    }

    /// Looks at it again, now that all instances beat.
    pub(crate) async fn add(self, report: &mut Report, prefix: &str, goals: (Goal, Goal)) -> anyhow::Result<()> {
        tokio::time::sleep(REST).await;
        let kilobytes = (resident_bytes(self.pid)? - self.bytes_before) / 1000.0 / INSTANCES as f64;
        report.add(&format!("{prefix}memory_per_instance"), kilobytes, "KB", goals.0);
        let ticks = cpu_ticks(self.pid)?;
        tokio::time::sleep(BEATS).await;
        // A tick is a hundredth of a second.
        let percent = (cpu_ticks(self.pid)? - ticks) as f64 / BEATS.as_secs_f64();
        report.add(&format!("{prefix}beats_{INSTANCES}_cpu"), percent, "%", goals.1);
        Ok(())
    }
}

/// The registry stops where it stands; who goes DOWN for that was punished for nothing.
async fn pause(node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let mut events = node.client().await?.watch_events(WatchEventsRequest::default()).await?.into_inner();
    let (mut downs, mut suspects) = (0_u64, 0_u64);
    node.process()?.freeze().await?;
    tokio::time::sleep(PAUSE).await;
    node.process()?.signal(Signal::CONT)?;
    let end = Instant::now() + AFTERMATH;
    while let Ok(message) = timeout_at(end, events.message()).await {
        let message = message?.context("the registry ended the stream")?;
        anyhow::ensure!(message.missed == 0, "{} events were missed", message.missed);
        for event in message.events {
            downs += u64::from(event.kind() == EventKind::WentDown);
            suspects += u64::from(event.kind() == EventKind::Suspected);
        }
    }
    let listed = Watcher::begin(node.client().await?, &["many"]).await?.ready();
    report.add("registry_paused_10s_false_downs", downs as f64, "events", Goal::AtMost(0.0));
    report.add("registry_paused_10s_suspected", suspects as f64, "events", Goal::Stated);
    report.add("registry_paused_10s_ready_after", listed as f64, "instances", Goal::AtLeast(INSTANCES as f64));
    Ok(())
}

/// The registry dies and is started again, while calls go on that found their way through it.
async fn restart(node: &mut Node, report: &mut Report) -> anyhow::Result<()> {
    let echo = Echo::start()?;
    let arguments = format!("instances --service echo --address {}", echo.address().await?);
    let _listed = Herd::ready(node.address(), &arguments).await?;
    let mesh = ::mesh::Mesh::client(&[node.address().to_string()]);
    let client = HealthClient::new(mesh.channel("echo", tonic_health::pb::FILE_DESCRIPTOR_SET));
    let call = move || {
        let mut client = client.clone();
        async move {
            drop(client.check(HealthCheckRequest::default()).await?);
            Ok(())
        }
    };
    harness::eventually("the echo is found", &call).await;
    let traffic = Traffic::start(8, Duration::from_millis(2), call);
    tokio::time::sleep(Duration::from_secs(1)).await;
    node.kill().await?;
    let began = Instant::now();
    node.launch()?;
    let client = harness::eventually("the registry is back", async || node.client().await).await;
    Watcher::begin(client, &["many"]).await?.until_ready(INSTANCES).await?;
    report.add("registry_restart_all_ready", began.elapsed().as_secs_f64(), "s", Goal::AtMost(10.0));
    tokio::time::sleep_until(began + WARMING).await;
    let outcome = traffic.end().await;
    if outcome.failed > 0 {
        println!("calls failed: {:?}", outcome.failures);
    }
    report.add("registry_restart_failed_calls", outcome.failed as f64, "calls", Goal::AtMost(0.0));
    report.add("registry_restart_answered_calls", outcome.answered as f64, "calls", Goal::Stated);
    Ok(())
}
