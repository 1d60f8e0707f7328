//! Our own contracts: every annotated method is there, the others are not, and each is told of.

use std::collections::BTreeSet;

use anyhow::Context as _;
use harness::http::decode;
use harness::system::System;
use harness::{dynamic, eventually};
use http::Method;
use serde_json::Value;
use tokio::process::Command;

use super::{ask, read};

/// Ends what never ends by itself.
const MOST_SECONDS: &str = "2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_annotated_method_is_told_of_and_no_other() -> anyhow::Result<()> {
    let system = System::start().await?;
    let document = eventually("every process has said what it offers", async || {
        let document = system.get("/openapi.json").await?;
        anyhow::ensure!(document.text.contains("MeshService"));
        read(&document)
    })
    .await;
    let mut told = BTreeSet::new();
    for operations in document["paths"].as_object().context("paths")?.values() {
        for operation in operations.as_object().context("operations")?.values() {
            let service = operation["tags"][0].as_str().unwrap_or_default();
            let name = operation["operationId"].as_str().unwrap_or_default();
            told.insert(format!("{service}.{}", name.split('_').nth(1).unwrap_or_default()));
        }
    }
    let option = dynamic::POOL.get_extension_by_name("google.api.http").context("the option is there")?;
    let ours = dynamic::POOL.services().filter(|service| service.full_name().starts_with("rundoo."));
    let annotated: BTreeSet<String> = ours
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter(|method| method.options().has_extension(&option))
        .map(|method| method.full_name().to_owned())
        .collect();
    assert!(annotated.len() > 40, "{}", annotated.len());
    assert_eq!(told, annotated);
    for secret in ["/v1/registry:register", "/v1/products:import", "/rundoo.registry.v1.RegistryService/Register"] {
        assert_eq!(ask(&system, &Method::POST, secret, &[], "{}").await?.status, 404, "{secret}");
    }
    Ok(())
}

/// Runs a line of a page as a person would, and answers what it prints.
async fn paste(line: &str) -> anyhow::Result<String> {
    let line = line.replacen("curl ", &format!("curl -sS --max-time {MOST_SECONDS} "), 1);
    let output = Command::new("sh").arg("-c").arg(&line).output().await?;
    // 28: it never ends by itself.
    let fine = output.status.success() || output.status.code() == Some(28);
    anyhow::ensure!(fine, "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_curl_of_the_docs_is_understood_when_it_is_pasted() -> anyhow::Result<()> {
    let system = System::start().await?;
    super::super::add(&system, ["Claw hammer", "Tools", "CH-1"]).await?;
    let index = system.get("/docs").await?;
    let services: BTreeSet<&str> =
        index.text.split("href=\"/docs/rundoo.").skip(1).filter_map(|rest| rest.split(['"', '#']).next()).collect();
    assert_eq!(services.len(), 5, "{services:?}");
    let mut count = 0;
    for service in services {
        let page = system.get(&format!("/docs/rundoo.{service}")).await?;
        assert!(!page.text.contains("<script") && page.text.contains("as grpcurl"), "{service}");
        for line in page.text.split("<code>curl ").skip(1).filter_map(|rest| rest.split("</code>").next()) {
            let line = format!("curl {}", decode(line));
            // It would change what others test here, or send everybody away.
            if [":run", ":move", ":drain"].iter().any(|verb| line.contains(verb)) {
                continue;
            }
            let answer = paste(&line).await?;
            count += 1;
            // There may be nothing of the kind; but the service understood too.
            if let Ok(answer) = serde_json::from_str::<Value>(&answer) {
                assert_ne!(answer["domain"], "gateway.rundoo", "{line}: {answer}");
                assert_ne!(answer["code"], "INVALID_ARGUMENT", "{line}: {answer}");
            }
        }
    }
    assert!(count > 35, "{count}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_json_and_csv_too() -> anyhow::Result<()> {
    let system = System::start().await?;
    let product = super::super::add(&system, ["=Hammer", "Tools", "CH-1"]).await?;
    let (id, trace) = ("walk-1", "4bf92f3577b34da6a3ce929d0e0e4736");
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    eventually("a request is in the log", async || {
        let headers = [("x-request-id", id), ("traceparent", traceparent.as_str())];
        ask(&system, &Method::GET, "/v1/products/99", &headers, "").await?;
        let walk = system.get(&format!("/logs/requests/{id}.csv")).await?;
        anyhow::ensure!(walk.text.contains(trace), "{}", walk.text);
        Ok(())
    })
    .await;
    let paths = [
        ("/", "/products.csv", "products"),
        ("/search?q=hammer", "/search.csv?q=hammer", "results"),
        ("/categories", "/categories.csv", "categories"),
        ("/trash", "/trash.csv", ""),
        (&format!("{product}/history"), &format!("{product}/history.csv"), "versions"),
        ("/imports", "/imports.csv", ""),
        ("/services", "/services.csv", "instances"),
        ("/events", "/events.csv", "events"),
        ("/logs", "/logs.csv", "records"),
        ("/services/productsvc", "/services/productsvc.csv", "instances"),
        (&format!("/logs/requests/{id}"), &format!("/logs/requests/{id}.csv"), "records"),
        (&format!("/logs/traces/{trace}"), &format!("/logs/traces/{trace}.csv"), "records"),
    ];
    for (page, file, rows) in paths {
        let json = ask(&system, &Method::GET, page, &[("accept", "application/json")], "").await?;
        assert_eq!((json.status.as_u16(), json.headers["content-type"].to_str()?), (200, "application/json"), "{page}");
        if !rows.is_empty() {
            assert!(read(&json)?[rows].as_array().is_some_and(|rows| !rows.is_empty()), "{page}: {}", json.text);
        }
        let csv = system.get(file).await?;
        assert_eq!(csv.status, 200, "{file}: {}", csv.text);
        assert!(csv.headers["content-type"].to_str()?.starts_with("text/csv"), "{file}");
        assert!(csv.text.starts_with('\u{feff}') && csv.text.lines().count() > usize::from(!rows.is_empty()), "{file}");
        let html = system.get(page).await?;
        assert!(html.text.starts_with("<!doctype html>"), "{page}");
    }
    assert!(system.get("/products.csv").await?.text.contains("'=Hammer"));
    let missing = ask(&system, &Method::GET, "/products/99", &[("accept", "application/json")], "").await?;
    assert_eq!(missing.headers["content-type"], "application/problem+json");
    Ok(())
}
