//! What holds for every page: headers, titles, nothing foreign, nothing that runs.

use std::collections::BTreeSet;

use anyhow::Context as _;
use harness::http::{Page, send};
use harness::system::System;
use http::Method;

use super::add;

/// Method, path, headers and body of a request; status and words of its answer.
type Case<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

/// Every page of the portal, with the status that it has.
pub(super) async fn pages(system: &System) -> anyhow::Result<Vec<(String, u16, Page)>> {
    let product = add(system, ["Claw hammer", "Tools/Hand", "HAM-1"]).await?;
    let instance = system.instances().await?.pop().context("somebody is registered")?;
    let paths = [
        ("/".to_owned(), 200),
        ("/products/new".to_owned(), 200),
        (product.clone(), 200),
        (format!("{product}/edit"), 200),
        (format!("{product}/delete"), 200),
        (format!("{product}/history"), 200),
        (format!("{product}/history/1"), 200),
        (format!("/products/bulk?id={}&do=move", product.rsplit('/').next().unwrap_or_default()), 200),
        (format!("/products/bulk?id={}&do=delete", product.rsplit('/').next().unwrap_or_default()), 200),
        ("/trash".to_owned(), 200),
        ("/categories".to_owned(), 200),
        ("/categories?below=Tools".to_owned(), 200),
        ("/categories/rename?from=Tools".to_owned(), 200),
        ("/?category=Tools".to_owned(), 200),
        ("/times".to_owned(), 200),
        ("/imports".to_owned(), 200),
        ("/imports/9".to_owned(), 404),
        ("/logs".to_owned(), 200),
        ("/logs?q=zzz&since=all".to_owned(), 200),
        ("/logs/requests/nobody".to_owned(), 200),
        ("/services/productsvc".to_owned(), 200),
        ("/services/nobody".to_owned(), 404),
        ("/events".to_owned(), 200),
        ("/search".to_owned(), 200),
        ("/search?q=hammer".to_owned(), 200),
        ("/services".to_owned(), 200),
        (format!("/services/{}/{}", instance.service, instance.instance_id), 200),
        ("/services/productsvc/nobody".to_owned(), 404),
        ("/nowhere".to_owned(), 404),
        ("/products/999".to_owned(), 404),
        (format!("{product}/history/9"), 404),
        ("/products/bulk".to_owned(), 400),
        ("/?page=garbage".to_owned(), 400),
    ];
    let mut pages = Vec::new();
    for (path, status) in paths {
        pages.push((path.clone(), status, system.get(&path).await?));
    }
    Ok(pages)
}

/// The values of the attributes by which a page reaches for something.
fn references(page: &Page) -> impl Iterator<Item = &str> {
    let starts = ["href=\"", "src=\"", "action=\"", "srcset=\"", "data=\"", "poster=\"", "content=\"http"];
    starts.into_iter().flat_map(|start| {
        page.text.split(&format!(" {start}")).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_guards_itself_has_a_title_of_its_own_and_holds_nothing_foreign() -> anyhow::Result<()> {
    let system = System::start().await?;
    let own = format!("http://{}/", system.portal());

    let (mut titles, pages) = (BTreeSet::new(), pages(&system).await?);
    for (path, status, page) in &pages {
        assert_eq!(page.status.as_u16(), *status, "{path}");
        let header = |name: &str| page.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        for rule in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        let kept = header("etag").starts_with("W/\"");
        assert_eq!(header("cache-control"), if kept { "private, no-cache" } else { "no-store" }, "{path}");
        assert!(page.text.contains(header("x-request-id")) && !header("x-request-id").is_empty(), "{path}");

        let text = page.text.to_lowercase();
        for running in ["<script", "javascript:", " onclick", " onload", " style=", "<iframe", "@import"] {
            assert!(!text.contains(running), "{path} holds {running}");
        }
        for reference in references(page) {
            let inside = reference.starts_with('/') && !reference.starts_with("//");
            let inside = inside || reference.starts_with("data:image/svg+xml,");
            assert!(inside || reference.starts_with('#') || reference.starts_with(&own), "{path}: {reference}");
        }
        assert!(!page.title().is_empty() && titles.insert(page.title().to_owned()), "{path}: {}", page.title());
    }

    let (_, _, home) = &pages[0];
    for entry in ["Home", "Add Product", "Search Product", "Categories", "Import", "Services", "Logs"] {
        assert!(home.text.contains(&format!(">{entry}</a>")), "{entry}");
    }
    for asset in references(home).filter(|reference| reference.contains("?v=")) {
        let asset = system.get(asset).await?;
        assert!(asset.status.is_success() && asset.headers["cache-control"].to_str()?.contains("immutable"));
        assert!(!asset.text.contains("url(") && !asset.text.contains("@import"), "{}", asset.text);
    }
    let health = system.get("/healthz").await?;
    assert_eq!((health.status.as_u16(), health.text.as_str()), (200, "ok"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_wrongly_or_from_elsewhere_is_refused_in_words() -> anyhow::Result<()> {
    let system = System::start().await?;
    let product = add(&system, ["Claw hammer", "Tools", "HAM-1"]).await?;
    let delete = format!("{product}/delete");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let evil = ("origin", "http://evil.example");
    let fields = "name=Saw&category=Tools&sku=SAW-1&etag=%221%22";
    let large = "x".repeat(70_000);
    let cases: [Case<'_>; 8] = [
        (Method::POST, "/products", &[form, ("sec-fetch-site", "cross-site")], fields, 403, "sent by another site"),
        (Method::POST, "/products", &[form, evil], fields, 403, "nothing was changed"),
        (Method::POST, &delete, &[form, evil], fields, 403, "sent by another site"),
        (Method::POST, "/nowhere", &[form], fields, 404, "There is no such page"),
        (Method::DELETE, &product, &[], "", 405, "This page cannot do that"),
        (Method::POST, "/search", &[form], "q=x", 405, "This page cannot do that"),
        (Method::POST, "/products", &[("content-type", "application/json")], "{}", 415, "takes forms only"),
        (Method::POST, "/products", &[form], &large, 413, "more than a form may hold"),
    ];

    for (method, path, headers, body, status, words) in cases {
        let page = send(system.portal(), method.clone(), path, headers, body.to_owned()).await?;

        assert_eq!(page.status.as_u16(), status, "{method} {path}");
        assert!(page.text.contains(words), "{method} {path}: {}", page.text);
        assert_eq!(page.headers.contains_key("allow"), status == 405, "{method} {path}");
        assert!(page.headers.contains_key("content-security-policy"), "{method} {path}");
    }
    let home = system.get("/").await?;
    assert!(home.text.contains("Claw hammer") && !home.text.contains("SAW-1"), "nothing was changed");
    for path in ["/products/0", "/products/-1/edit", "/products/x/delete", "/products/99999999999999999999"] {
        let page = system.get(path).await?;
        assert!(page.status == 404 && page.text.contains("There is no such product"), "{path}: {}", page.status);
    }
    Ok(())
}
