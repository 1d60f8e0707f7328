//! Registrations a second: through the whole stack, beside a bare echo, and by the table alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness::load::{Outcome, Traffic};
use proto::registry::RegisterRequest;

use crate::bench::echo::{CROWD, Echo};
use crate::bench::measure::{Goal, Report};
use crate::bench::registry::node::{Client, Node};

/// Different instances that register again and again.
const INSTANCES: u64 = 10_000;

/// How long the table is measured.
const TABLE: Duration = Duration::from_secs(2);

pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let node = Node::start().await?;
    let echo = Echo::start()?;
    // The bare echo before and after, so that drift of the machine shows.
    let before = echo.measure(CROWD, each).await?;
    let registrations = register(node.client().await?, each).await;
    let after = echo.measure(CROWD, each).await?;
    if registrations.failed > 0 {
        println!("registrations failed: {:?}", registrations.failures);
    }
    let bare = f64::midpoint(before.rate(), after.rate());
    report.add("register_echo_rate", bare, "requests/s", Goal::Stated);
    report.add("register_rate", registrations.rate(), "requests/s", Goal::AtLeast(30_000.0));
    report.add("register_of_echo", registrations.rate() / bare * 100.0, "%", Goal::AtLeast(50.0));
    report.add("register_p99", registrations.quantile(0.99).as_secs_f64() * 1e3, "ms", Goal::Stated);
    report.add("register_failed", registrations.failed as f64, "calls", Goal::AtMost(0.0));
    drop((node, echo));
    let table = tokio::task::spawn_blocking(|| ::registry::speed::registrations_per_second(TABLE)).await?;
    report.add("table_rate", table, "registrations/s", Goal::AtLeast(1_000_000.0));
    Ok(())
}

/// The same callers over as many connections as the echo has: one. Each call is a new start of an instance.
async fn register(client: Client, each: Duration) -> Outcome {
    let next = Arc::new(AtomicU64::new(0));
    let traffic = Traffic::start(CROWD, Duration::ZERO, move || {
        let (mut client, n) = (client.clone(), next.fetch_add(1, Ordering::Relaxed));
        async move {
            drop(client.register(registration(n)).await?);
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    traffic.end().await
}

/// Each instance has an address of its own; the boot nonce is another one each time.
pub(crate) fn registration(n: u64) -> RegisterRequest {
    let instance = n % INSTANCES;
    RegisterRequest {
        service: "registering".into(),
        instance_id: format!("instance-{instance:05}"),
        boot_nonce: n + 1,
        address: format!("127.1.{}.{}:9", instance / 250, instance % 250 + 1),
        version: "1.0.0".into(),
        ..Default::default()
    }
}
