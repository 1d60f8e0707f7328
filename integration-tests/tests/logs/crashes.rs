//! Killing the log service: nothing acknowledged is lost, nothing is there twice.

use std::time::Duration;

use anyhow::Context as _;
use harness::logs::crashes::{self, Plan};
use harness::logs::{Node, everything, last_words};
use harness::system::{Options, Role, System};
use harness::{binaries, eventually};
use proto::logs::Filter;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_twenty_five_kills_and_is_there_once() -> anyhow::Result<()> {
    let mut node = Node::new(&binaries::build()?)?;
    let plan = Plan {
        kills: 25,
        time: Duration::from_secs(120),
        check_every: 8,
        producers: 3,
        longest_life: Duration::from_millis(700),
        most_at_once: 100,
        pause: Duration::from_millis(40),
        seed: fastrand::u64(..),
    };

    let outcome = crashes::run(&mut node, &plan, |_| {}).await.with_context(|| format!("{plan:?}"))?;

    assert!(outcome.acknowledged > 1000 && outcome.stored >= outcome.acknowledged, "{outcome:?}");
    assert!(outcome.verified.1 >= outcome.stored, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_service_said_is_told_by_its_next_start() -> anyhow::Result<()> {
    let seed = fastrand::u64(..);

    let outcome = last_words::run(&binaries::build()?, 4, seed).await.with_context(|| format!("seed {seed}"))?;

    assert!(outcome.told >= outcome.last_words && outcome.last_words > 0, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registry_and_log_service_start_in_any_order() -> anyhow::Result<()> {
    for order in [[Role::Logs, Role::Registry], [Role::Registry, Role::Logs]] {
        let mut system = System::prepare(Options::default())?;

        system.launch(order[0]).await?;
        eventually("the first is healthy alone", async || system.check_health().await).await;
        system.launch(order[1]).await?;

        system.ready().await;
        eventually("each has told the log of itself", async || {
            let mut client = plain(&system).await?;
            for service in ["registry", "logsvc"] {
                let filter = Filter { services: vec![service.into()], ..Default::default() };
                anyhow::ensure!(!everything(&mut client, filter).await?.is_empty(), "nothing of {service}");
            }
            Ok(())
        })
        .await;
    }
    let mut system = System::prepare(Options::default())?;
    system.launch_together(&[Role::Registry, Role::Logs]).await?;
    system.ready().await;
    Ok(())
}

async fn plain(system: &System) -> anyhow::Result<harness::logs::Client> {
    let channel = harness::health::connect(system.address(Role::Logs)?).await?;
    Ok(harness::logs::Client::new(channel))
}
