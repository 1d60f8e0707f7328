//! Home on kept connections: two whole systems, one in plain text and one on mutual TLS, in turns.

use std::time::Duration;

use harness::certificates::Protection;
use harness::load::Traffic;
use harness::system::{Options, System};
use proto::products::CreateProductRequest;

use crate::bench::measure::{Goal, Report, median, ms};
use crate::bench::portal::home::{AT_ONCE, home};
use crate::bench::portal::visitors::Visitors;

/// Turns of each: the machine is not the same from one minute to the next.
const TURNS: u32 = 3;

/// Products: more than a page of them.
const PRODUCTS: u32 = 200;

/// What a turn came to.
struct Turn {
    rate: f64,
    p99: f64,
}

pub(super) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let (plain, encrypted) = (start(Protection::None).await?, start(Protection::Tls).await?);
    let (mut plainly, mut safely) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        plainly.push(turn(&plain, each).await?);
        safely.push(turn(&encrypted, each).await?);
    }
    let middle = |turns: &[Turn], of: fn(&Turn) -> f64| median(turns.iter().map(of).collect());
    let (without, with) = (middle(&plainly, |turn| turn.rate), middle(&safely, |turn| turn.rate));
    report.add("gateway_plain_rate", without, "requests/s", Goal::Stated);
    report.add("gateway_plain_p99", middle(&plainly, |turn| turn.p99), "ms", Goal::Stated);
    report.add("gateway_mtls_rate", with, "requests/s", Goal::Stated);
    report.add("gateway_mtls_p99", middle(&safely, |turn| turn.p99), "ms", Goal::Stated);
    report.add("gateway_mtls_share", with / without * 100.0, "%", Goal::AtLeast(70.0));
    Ok(())
}

/// A whole system with products to list.
pub(super) async fn start(protection: Protection) -> anyhow::Result<System> {
    let system = System::with(Options { protection, ..Options::default() }).await?;
    for number in 0..PRODUCTS {
        let request = CreateProductRequest {
            name: format!("Claw hammer {number}"),
            category: "Tools".to_owned(),
            sku: format!("HAM-{number}"),
            ..Default::default()
        };
        system.products().create_product(request).await?;
    }
    Ok(system)
}

/// As fast as it goes, for a while.
async fn turn(system: &System, each: Duration) -> anyhow::Result<Turn> {
    let visitors = Visitors::of(system.portal());
    let visit = move || {
        let visitors = visitors.clone();
        async move { home(&visitors).await }
    };
    visit().await?;
    let traffic = Traffic::start(AT_ONCE, Duration::ZERO, visit);
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    Ok(Turn { rate: outcome.rate(), p99: ms(outcome.quantile(0.99)) })
}
