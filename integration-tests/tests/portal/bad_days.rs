//! A service that is away: said in words, nothing lost, and over by itself.

use harness::eventually;
use harness::system::{Role, System};

use super::{add, listed, submit, typed};

const CATALOGUE: Role = Role::Products(0);
const NAIL: [&str; 3] = ["Nail", "Fasteners", "N-1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_catalogue_pages_say_so_forms_keep_their_texts_and_all_is_over_by_itself() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let product = add(&system, ["Claw hammer", "Tools", "HAM-1"]).await?;
    let (edit, delete) = (format!("{product}/edit"), format!("{product}/delete"));
    let (adding, editing, question) =
        (system.get("/products/new").await?, system.get(&edit).await?, system.get(&delete).await?);

    system.kill(CATALOGUE).await?;

    eventually("home says so", async || {
        let page = system.get("/").await?;
        anyhow::ensure!(page.status == 503, "{}", page.status);
        Ok(())
    })
    .await;
    for path in ["/", "/search?q=hammer", &product, &edit, &delete] {
        let page = system.get(path).await?;
        assert_eq!(page.status, 503, "{path}");
        assert!(page.text.contains("<h1>The product catalogue is not answering right now</h1>"), "{}", page.text);
        assert!(page.headers.contains_key("retry-after") && page.headers["refresh"] == "5");
    }
    let mut kept = Vec::new();
    for (path, form) in [("/products", &adding), (&edit, &editing), (&delete, &question)] {
        let page = submit(&system, path, form, NAIL).await?;
        assert_eq!(page.status, 503, "{path}");
        assert!(page.text.contains("The product catalogue is not answering right now"), "{}", page.text);
        assert_eq!(typed(&page), NAIL);
        assert_eq!(page.input("request_id"), form.input("request_id"), "sending it again is safe");
        assert!(!page.headers.contains_key("refresh"), "a form must not vanish by itself");
        kept.push(page);
    }
    assert!(system.get("/products/new").await?.status.is_success());
    assert_eq!(system.get("/healthz").await?.text, "ok");
    eventually("the services page says what is missing", async || {
        let services = system.get("/services").await?;
        anyhow::ensure!(services.text.contains("needs productsvc, of which none is ready"), "{}", services.text);
        Ok(())
    })
    .await;

    system.launch(CATALOGUE).await?;

    eventually("home is back", async || {
        let page = system.get("/").await?;
        anyhow::ensure!(page.status.is_success(), "{}", page.status);
        Ok(())
    })
    .await;
    for _ in 0..2 {
        assert_eq!(submit(&system, "/products", &kept[0], NAIL).await?.status, 303);
    }
    assert_eq!(submit(&system, &delete, &kept[2], NAIL).await?.status, 303);
    assert_eq!(listed(&system.get("/").await?).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_registry_home_goes_on_and_the_services_page_says_that_it_cannot_know() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    add(&system, ["Claw hammer", "Tools", "HAM-1"]).await?;

    system.kill(Role::Registry).await?;

    let services = eventually("the services page says so", async || {
        let page = system.get("/services").await?;
        anyhow::ensure!(page.status == 503, "{}", page.status);
        Ok(page)
    })
    .await;
    assert!(services.text.contains("<h1>The registry is not answering right now</h1>"), "{}", services.text);
    let home = system.get("/").await?;
    assert!(home.status.is_success() && home.text.contains("Claw hammer"), "it has the last picture");
    add(&system, NAIL).await?;
    assert_eq!(system.get("/healthz").await?.text, "ok");

    system.launch(Role::Registry).await?;

    let services = eventually("all are there again", async || {
        let page = system.get("/services").await?;
        let all = ["registry", "logsvc", "productsvc", "portal"];
        anyhow::ensure!(all.iter().all(|name| page.text.contains(&format!("\">{name}"))), "{}", page.text);
        Ok(page)
    })
    .await;
    assert!(services.status.is_success());
    assert_eq!(listed(&system.get("/").await?).len(), 2);
    Ok(())
}
