//! Whom a channel calls: by weight, by zone, never who fails, and in words when there is nobody.

use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use harness::specimen::EchoRequest;
use harness::specimens::stats;
use harness::system::{Options, Role, System};
use harness::{Process, Specimens, eventually};
use mesh::Refusal;
use proto::mesh::Peer;
use tonic::Code;

use super::{echo, reason, waiting};

/// Makes calls until so many were answered.
async fn answered(traffic: &Traffic, count: u64) {
    let before = traffic.answered();
    eventually("calls go on", async || {
        anyhow::ensure!(traffic.answered() >= before + count, "{}", traffic.answered() - before);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_of_thrice_the_weight_gets_clearly_more_calls() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[&[("SPECIMEN_WEIGHT", "300")], &[("SPECIMEN_WEIGHT", "100")]]).await?;
    let client = specimens.client();
    let traffic = Traffic::start(32, Duration::ZERO, move || {
        let mut client = client.clone();
        async move { Ok(client.echo(echo(waiting(Duration::from_millis(10)))).await.map(drop)?) }
    });

    // Who is held up by something else on this machine counts as slow, and that is right.
    eventually("the shares are by weight", async || {
        let begun = async || anyhow::Ok((specimens.report(0).await?.begun, specimens.report(1).await?.begun));
        let before = begun().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = begun().await?;
        let (heavy, light) = (after.0 - before.0, after.1 - before.1);
        anyhow::ensure!(heavy + light > 200 && heavy * 2 > light * 3 && light > 0, "{heavy} and {light}");
        Ok(())
    })
    .await;

    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_fails_every_call_gets_hardly_any() -> anyhow::Result<()> {
    let specimens = Specimens::with(&[&[], &[], &[("SPECIMEN_CODE", "13")]]).await?;
    let before = specimens.report(2).await?.begun;
    let client = specimens.client();
    let traffic = Traffic::start(8, Duration::from_millis(1), move || {
        let mut client = client.clone();
        async move { Ok(client.echo(EchoRequest::default()).await.map(drop)?) }
    });

    answered(&traffic, 2000).await;

    let outcome = traffic.end().await;
    let failing = specimens.report(2).await?.begun - before;
    assert!(failing < 50, "{failing} of {}", outcome.answered);
    assert_eq!(outcome.failed, failing, "nothing else fails: {:?}", outcome.failures);
    Ok(())
}

/// A process of a system in a zone, and where it serves.
async fn in_zone(system: &System, role: Role, zone: &str) -> anyhow::Result<(Process, std::net::SocketAddr)> {
    let mut process = system.program(role).set("RUNDOO_ZONE", zone).start()?;
    let address = process.address().await?;
    Ok((process, address))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_stay_in_the_zone_while_somebody_is_there_and_leave_it_when_nobody_is() -> anyhow::Result<()> {
    let mut system = System::prepare(Options::default())?;
    system.launch(Role::Registry).await?;
    let (near, near_address) = in_zone(&system, Role::Products(0), "a").await?;
    let (_far, far_address) = in_zone(&system, Role::Products(1), "b").await?;
    let (_portal, portal) = in_zone(&system, Role::Portal, "a").await?;
    let peer = async |address: std::net::SocketAddr| -> anyhow::Result<Peer> {
        let peers = stats(portal).await?.peers;
        let found = peers.iter().find(|peer| peer.service == "productsvc" && peer.address == address.to_string());
        found.filter(|peer| peer.connected).cloned().with_context(|| format!("{peers:?}"))
    };
    let (before, far) =
        eventually("the portal reaches both", async || Ok((peer(near_address).await?, peer(far_address).await?))).await;
    assert!(before.same_zone && !far.same_zone);

    for _ in 0..50 {
        anyhow::ensure!(system.get("/").await?.status.is_success());
    }
    let there = peer(far_address).await?;
    assert_eq!(there.succeeded, far.succeeded, "nobody calls far away without need");
    assert!(peer(near_address).await?.succeeded >= before.succeeded + 50);

    near.kill().await?;
    for _ in 0..10 {
        let page = eventually("the far one answers", async || {
            let page = system.get("/").await?;
            anyhow::ensure!(page.status.is_success(), "{}", page.status);
            Ok(page)
        })
        .await;
        assert!(page.status.is_success());
    }
    assert!(peer(far_address).await?.succeeded >= far.succeeded + 10);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_nobody_to_call_is_told_so_in_words_that_name_the_service() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let refusal = async |specimens: &Specimens, words: &str| {
        let mut client = specimens.client();
        eventually("it is said", async || {
            let refused = client.echo(EchoRequest::default()).await.err().context("it answers")?;
            anyhow::ensure!(refused.message().contains(words), "{refused:?}");
            Ok(refused)
        })
        .await
    };

    // Nobody can say that it is gone.
    specimens.system().kill(Role::Registry).await?;
    specimens.kill(0).await?;
    let unreachable = refusal(&specimens, "the registry listed 1, ").await;
    assert!(unreachable.message().contains("but none can be reached (127.0.0.1:"), "{unreachable:?}");
    // Somebody says so.
    specimens.system().launch(Role::Registry).await?;
    let none = refusal(&specimens, "the registry listed none, ").await;

    for refused in [unreachable, none] {
        assert_eq!(reason(&refused), (Code::Unavailable, "NO_INSTANCE".to_owned()));
        assert!(refused.message().starts_with("no instance of specimen is connected: "), "{refused:?}");
        assert!(refused.message().contains(" s ago"), "it says how old that is: {refused:?}");
        assert_eq!(Refusal::metadata_of(&refused, "service").as_deref(), Some("specimen"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reached_the_registry_is_told_so_in_words() -> anyhow::Result<()> {
    let system = System::prepare(Options::default())?;
    let channel = system.mesh().channel(harness::specimen::SERVICE, harness::specimen::DESCRIPTORS);

    let mut client = harness::specimen::specimen_service_client::SpecimenServiceClient::new(channel);
    let refused = client.echo(EchoRequest::default()).await.expect_err("nothing runs");

    assert_eq!(reason(&refused), (Code::Unavailable, "NO_INSTANCE".to_owned()));
    assert!(refused.message().contains("the registry has not been reached yet"), "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_without_the_registry_and_also_when_one_of_three_is_killed_meanwhile() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(3).await?;
    let client = specimens.client();
    let traffic = Traffic::start(8, Duration::from_millis(1), move || {
        let mut client = client.clone();
        async move { Ok(client.echo(echo(waiting(Duration::from_millis(2)))).await.map(drop)?) }
    });

    answered(&traffic, 200).await;
    specimens.system().kill(Role::Registry).await?;
    answered(&traffic, 500).await;
    specimens.kill(1).await?;
    answered(&traffic, 500).await;

    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    Ok(())
}
