//! Services: who calls whom, a page for each service, what instances tell of themselves, all that happened.

use anyhow::Context as _;
use harness::http::{Page, encode};
use harness::system::{Role, System};
use proto::registry::RegisterRequest;

use super::{instance_of, shows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_whom_is_drawn_with_rates_and_written_as_a_table() -> anyhow::Result<()> {
    let system = System::start().await?;
    system.get("/").await?;

    let drawn = "<title>portal calls productsvc: ";
    let first = shows(&system, "/services", &[drawn, "<svg class=\"map\"", "href=\"/services/productsvc\"><g"]).await;
    assert!(first.text.contains("Counted since they started"), "one look is no rate of now: {}", first.text);
    assert!(!first.text.contains("portal calls registry"), "what keeps the mesh going is left out: {}", first.text);
    assert!(first.text.contains("role=\"rowheader\">portal</th>") && first.text.contains("data-label=\"p99\""));

    let all = shows(&system, "/services?all=1", &[drawn, "portal calls registry", "the mesh itself"]).await;
    assert!(all.text.contains("href=\"/services#calls\""), "{}", all.text);
    for page in [&first, &all] {
        assert!(!page.text.contains("<script") && !page.text.contains("style="), "{}", page.text);
    }
    // A second look comes by itself while somebody looks.
    shows(&system, "/services", &["Measured over the last "]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_has_a_page_and_one_that_nobody_knows_has_none() -> anyhow::Result<()> {
    let system = System::start().await?;
    system.get("/").await?;
    let instance = instance_of(&system, "productsvc").await?;

    let words = [
        "1 instance, ready",
        "ListProducts<span",
        "data-label=\"Called by\">portal</td>",
        "How it starts",
        "product store",
        "What a request passes",
        "mesh::call::Deadline",
        "rundoo.products.v1.ProductService",
        "Who watches productsvc",
        "<caption>What happened</caption>",
    ];
    let page = shows(&system, "/services/productsvc", &words).await;
    assert_eq!(page.title(), "productsvc");
    for method in ["GetStats", "GetGraph"] {
        let command = format!("grpcurl -plaintext {} rundoo.mesh.v1.MeshService/{method}", instance.address);
        assert!(page.text.contains(&command), "{command}: {}", page.text);
    }

    for path in ["/services/nobody", "/services/Not%20a%20name", "/events?service=Not%20a%20name"] {
        let page = system.get(path).await?;
        assert_eq!(page.status, 404, "{path}");
        assert_eq!(page.title(), "There is no such service", "{path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_tells_of_itself_and_one_that_hangs_is_named() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.get("/").await?;
    let instance = instance_of(&system, "productsvc").await?;
    let own = format!("/services/productsvc/{}", encode(&instance.instance_id));

    let words = ["Calls that it took", "ListProducts<span", "Calls that it made", "Works on", "What a request passes"];
    let told = shows(&system, &own, &words).await;
    let command = format!("grpcurl -plaintext {} rundoo.mesh.v1.MeshService/GetStats", instance.address);
    assert!(told.text.contains(&command), "{}", told.text);

    system.process(Role::Products(0))?.freeze().await?;
    let silent = shows(&system, &own, &["It did not answer within a second when it was asked for its numbers."]).await;
    assert!(silent.text.contains(&instance.address), "the registry's facts are shown all the same: {}", silent.text);
    let named =
        format!("<a class=\"code\" href=\"{own}\">productsvc/{}</a>, which did not answer", instance.instance_id);
    shows(&system, "/services", &[&named]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_leaves_out_instances_and_counts_them_all_the_same() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    shows(&system, "/services?state=trouble", &["No instance is like that.", "none in trouble"]).await;

    system.kill(Role::Products(0)).await?;

    // The portal cannot work without the catalogue.
    let words = ["needs productsvc, of which none is ready", "<span class=\"num\">1</span> in trouble</a>"];
    let trouble = shows(&system, "/services?state=trouble", &words).await;
    assert!(!trouble.text.contains("role=\"rowheader\"><a href=\"/services/logsvc\">"), "{}", trouble.text);
    let words = ["<caption>Recently down</caption>", "<option value=\"down\" selected>Down (1)</option>", "none alive"];
    shows(&system, "/services?state=down&service=productsvc", &words).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_happened_is_paged_and_kept_apart_by_service() -> anyhow::Result<()> {
    let system = System::start().await?;
    let mut registry = system.registry();
    for boot_nonce in 1..=40 {
        let (service, instance_id, address) = ("tests".into(), "1".into(), "127.1.1.1:1".into());
        // Nobody beats for it.
        let time_to_live = harness::lease::longest();
        let request = RegisterRequest { service, instance_id, boot_nonce, address, time_to_live, ..Default::default() };
        registry.register(request).await?;
    }

    let first = system.get("/events?service=tests").await?;
    let older = first.link("next").context("there is more")?;
    let second = system.get(&older).await?;

    let rows = |page: &Page| page.text.matches("<td role=\"cell\" data-label=\"In words\">").count();
    assert_eq!((rows(&first), rows(&second)), (50, 29), "each start takes the one before it down");
    assert!(older.contains("service=tests"), "{older}");
    assert!(!first.text.contains("productsvc/") && first.text.contains("<option value=\"productsvc\">"));
    assert_ne!(first.title(), second.title());
    assert_eq!(second.link("next"), None);
    let all = shows(&system, "/events", &["tests/1"]).await;
    let before = system.get(&all.link("next").context("there is more")?).await?;
    assert!(before.text.contains("productsvc/") && before.text.contains("tests/1"), "{}", before.text);
    assert!(system.get("/services").await?.text.contains("<a href=\"/events\">"));
    Ok(())
}
