//! The whole stack, on the way out and on the way in, beside a bare tonic echo.
//!
//! Both carry the same messages. They take turns in short slices, because the machine
//! is never quiet for long, and the median of the pairs counts.

use std::time::Duration;

use harness::load::{Outcome, Traffic};

use crate::bench::echo::{self, CROWD, Echo};
use crate::bench::measure::{Goal, Report, median, us};
use crate::bench::mesh::calls;
use crate::bench::mesh::lab::{Client, Lab};

/// Slices of each.
const PAIRS: u32 = 5;

/// Before anything counts: connections open, and memory is there.
const WARM_UP: Duration = Duration::from_millis(500);

/// A slice of the echo, and the slice of the stack after it.
struct Pair {
    bare: Outcome,
    whole: Outcome,
}

pub(crate) async fn measure(report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let lab = Lab::start().await?;
    let _specimen = lab.specimen(&[]).await?;
    let echo = Echo::start()?;
    let (bare, whole) = (echo.client().await?, lab.client_of(1).await);
    let crowd = alternate(CROWD, (&bare, &whole), each / PAIRS).await?;
    let of = |what: fn(&Pair) -> f64, pairs: &[Pair]| median(pairs.iter().map(what).collect());
    report.add("stack_echo_rate_64", of(|pair| pair.bare.rate(), &crowd), "requests/s", Goal::Stated);
    report.add("stack_rate_64", of(|pair| pair.whole.rate(), &crowd), "requests/s", Goal::Stated);
    let share = of(|pair| pair.whole.rate() / pair.bare.rate() * 100.0, &crowd);
    report.add("stack_of_echo_64", share, "%", Goal::AtLeast(85.0));
    let single = alternate(1, (&bare, &whole), each / PAIRS).await?;
    report.add("stack_echo_p50_1", of(|pair| us(pair.bare.quantile(0.5)), &single), "us", Goal::Stated);
    report.add("stack_p50_1", of(|pair| us(pair.whole.quantile(0.5)), &single), "us", Goal::Stated);
    let added = of(|pair| us(pair.whole.quantile(0.5)) - us(pair.bare.quantile(0.5)), &single);
    report.add("stack_added_p50_1", added, "us", Goal::AtMost(50.0));
    Ok(())
}

/// Slice after slice, the echo first.
async fn alternate(callers: usize, clients: (&echo::Client, &Client), slice: Duration) -> anyhow::Result<Vec<Pair>> {
    run(callers, clients, WARM_UP).await?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push(run(callers, clients, slice).await?);
    }
    Ok(pairs)
}

async fn run(callers: usize, (bare, whole): (&echo::Client, &Client), slice: Duration) -> anyhow::Result<Pair> {
    let (echo, stack) = (bare.clone(), whole.clone());
    let bare = Traffic::start(callers, Duration::ZERO, move || echo::call(echo.clone()));
    tokio::time::sleep(slice).await;
    let bare = bare.end().await;
    let whole = Traffic::start(callers, Duration::ZERO, move || calls::read(stack.clone()));
    tokio::time::sleep(slice).await;
    let whole = whole.end().await;
    let failures: Vec<&String> = bare.failures.iter().chain(&whole.failures).collect();
    anyhow::ensure!(failures.is_empty(), "calls failed: {failures:?}");
    Ok(Pair { bare, whole })
}
