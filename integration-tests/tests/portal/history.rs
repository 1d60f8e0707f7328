//! What happened: why an instance is down and when it was up, on its own page and on that of all.

use anyhow::Context as _;
use harness::eventually;
use harness::http::{Page, encode};
use harness::system::{Options, Role, System};
use proto::registry::{DeregisterRequest, DrainRequest, Instance, RegisterRequest, SuspectReason, UndrainRequest};
use rustix::process::Signal;

use super::{instance_of, shows};

fn page_of(instance: &Instance) -> String {
    format!("/services/{}/{}", instance.service, encode(&instance.instance_id))
}

fn registration(instance_id: &str, boot_nonce: u64) -> RegisterRequest {
    RegisterRequest {
        service: "tests".into(),
        instance_id: instance_id.into(),
        boot_nonce,
        address: "127.1.1.1:1".into(),
        // Nobody beats for it.
        time_to_live: harness::lease::longest(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_shows_on_its_page_when_it_was_up_and_why_it_is_down() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let instance = instance_of(&system, "productsvc").await?;
    let (own, name) = (page_of(&instance), format!("productsvc/{}", instance.instance_id));
    let link = format!("href=\"{own}\"");
    let up = format!("{name} UP at {}", instance.address);

    let services = shows(&system, "/services", &[&link, &up, "<caption>What happened</caption>"]).await;
    assert!(services.status.is_success());
    let alive = shows(&system, &own, &["state good\">Ready</span>", &up, &instance.address, "Up to date"]).await;
    assert_eq!(alive.title(), name);
    assert!(alive.text.contains("Who watches productsvc") && alive.text.contains(">portal/"), "{}", alive.text);

    system.kill(Role::Products(0)).await?;

    let why =
        "Its connection broke and its address refused a new one: it crashed, was killed, or ended without a goodbye.";
    let down = format!("{name} DOWN: connection lost");
    let dead = shows(&system, &own, &["state bad\">Down</span>", why, &down, &up]).await;
    assert!(dead.text.find(&down) < dead.text.find(&up), "the latest first: {}", dead.text);
    let services = shows(&system, "/services", &["<caption>Recently down</caption>", why, &down]).await;
    assert!(services.text.matches(&link).count() >= 3, "listed, and in two events: {}", services.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_does_and_what_is_in_doubt_is_said_in_words() -> anyhow::Result<()> {
    // Long enough to look at who is in doubt: each look at it waits for its answer.
    let settings = vec![("REGISTRY_LEASE_SECONDS", "20".into())];
    let mut system = System::with(Options { settings, ..Options::default() }).await?;
    let instance = instance_of(&system, "productsvc").await?;
    let (own, service, instance_id) = (page_of(&instance), instance.service.clone(), instance.instance_id.clone());

    let drain = DrainRequest { service: service.clone(), instance_id: instance_id.clone(), ..Default::default() };
    system.registry().drain(drain).await?;
    for path in ["/services", &own] {
        shows(&system, path, &["state fair\">Finishing</span>", "drained by an operator"]).await;
    }
    system.registry().undrain(UndrainRequest { service, instance_id }).await?;
    shows(&system, &own, &["state good\">Ready</span>", "is not drained any more"]).await;

    system.process(Role::Products(0))?.freeze().await?;
    let suspect = ["state fair\">Suspect</span>", "its last word: ready", "its heartbeat is overdue"];
    let seen = shows(&system, &own, &suspect).await;
    system.process(Role::Products(0))?.signal(Signal::CONT)?;

    assert!(seen.text.contains("SUSPECT: silent"), "{}", seen.text);
    eventually("it is beyond doubt", async || {
        let listed = instance_of(&system, "productsvc").await?;
        anyhow::ensure!(listed.suspect_reason() == SuspectReason::Unspecified, "{listed:?}");
        Ok(())
    })
    .await;
    shows(&system, &own, &["is back, beyond doubt"]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_history_of_an_instance_is_paged_and_hostile_names_are_text() -> anyhow::Result<()> {
    const HOSTILE: &str = "<script>alert(1)</script>\"onfocus='x'/../?#%2F";
    let system = System::start().await?;
    let mut registry = system.registry();
    let mut incarnation = 0;
    for boot_nonce in 1..=40 {
        let metadata = [(HOSTILE.to_owned(), HOSTILE.to_owned())].into();
        let links = [("http".to_owned(), "javascript:alert(1)".to_owned())].into();
        let request = RegisterRequest { metadata, links, ..registration(HOSTILE, boot_nonce) };
        incarnation = registry.register(request).await?.into_inner().incarnation;
    }
    let own = format!("/services/tests/{}", encode(HOSTILE));

    let first = system.get(&own).await?;
    let older = first.link("next").context("there is more")?;
    let second = system.get(&older).await?;

    let rows = |page: &Page| page.text.matches("<td role=\"cell\" data-label=\"In words\">").count();
    assert_eq!((rows(&first), rows(&second)), (50, 29), "each start takes the one before it down");
    assert_eq!(second.link("next"), None);
    assert_ne!(first.title(), second.title());
    let services = system.get("/services").await?;
    assert!(services.text.contains(&format!("href=\"{own}\"")), "{}", services.text);
    for page in [&first, &second, &services] {
        assert!(!page.text.contains("<script") && !page.text.contains("\"onfocus"), "{}", page.text);
        assert!(!page.text.contains("javascript:") && page.text.contains("&#60;script&#62;alert(1)"), "{}", page.text);
    }
    let stale = system.get(&format!("{own}?page=tampered")).await?;
    assert!(stale.status == 400 && stale.text.contains("is not valid any more"), "{}", stale.text);

    let goodbye =
        DeregisterRequest { service: "tests".into(), instance_id: HOSTILE.into(), incarnation, drain_timeout: None };
    registry.deregister(goodbye).await?;
    shows(&system, &own, &["It stopped and said goodbye.", "DOWN: deregistered"]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_instance_that_never_was_there_is_no_page() -> anyhow::Result<()> {
    let system = System::start().await?;

    for path in [
        "/services/productsvc/nobody",
        "/services/nobody/a",
        "/services/%3Cb%3E/a",
        "/services/a/%20",
        "/services/a/%FF",
    ] {
        let page = system.get(path).await?;
        assert_eq!(page.status, 404, "{path}: {}", page.text);
        assert!(page.text.contains("<h1>There is no such instance</h1>"), "{path}: {}", page.text);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_hangs_is_told_soon_and_its_pages_are_back_with_it() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let own = page_of(&instance_of(&system, "logsvc").await?);

    system.process(Role::Registry)?.freeze().await?;
    let (all, one) = futures_util::future::try_join(system.get("/services"), system.get(&own)).await?;
    system.process(Role::Registry)?.signal(Signal::CONT)?;

    for page in [all, one] {
        assert_eq!(page.status, 503);
        assert!(page.text.contains("<h1>The registry is not answering right now</h1>"), "{}", page.text);
        assert!(page.text.contains("took too long to answer"), "{}", page.text);
        assert_eq!(page.headers["refresh"], "5");
    }
    shows(&system, &own, &["logsvc/", "<caption>What happened</caption>"]).await;
    Ok(())
}
