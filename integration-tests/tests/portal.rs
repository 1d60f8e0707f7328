//! The portal as a browser sees it: forms, lists, and what it says on a bad day.

mod axe;
mod bad_days;
mod browsing;
mod catalogue;
mod commands;
mod door;
mod forms;
mod gateway;
mod greedy;
mod history;
mod https;
mod imports;
mod logs;
mod manners;
mod metrics;
mod services;

use anyhow::Context as _;
use harness::http::Page;
use harness::{System, eventually};
use proto::registry::Instance;

/// Adds a product through the form; answers where its page is.
async fn add(system: &System, product: [&str; 3]) -> anyhow::Result<String> {
    let form = system.get("/products/new").await?;
    let saved = submit(system, "/products", &form, product).await?;
    anyhow::ensure!(saved.status == 303, "{}: {}", saved.status, saved.text);
    Ok(saved.location().split('?').next().unwrap_or_default().to_owned())
}

/// Sends the form of a page with these texts in it: name, category, SKU.
async fn submit(system: &System, path: &str, form: &Page, [name, category, sku]: [&str; 3]) -> anyhow::Result<Page> {
    let request_id = form.input("request_id").with_context(|| format!("no form: {}", form.text))?;
    let etag = form.input("etag").unwrap_or_default();
    let fields =
        [("request_id", request_id.as_str()), ("etag", &etag), ("name", name), ("category", category), ("sku", sku)];
    system.post(path, &fields).await
}

/// The texts in the fields of a form: name, category, SKU.
fn typed(form: &Page) -> [String; 3] {
    ["name", "category", "sku"].map(|field| form.input(field).unwrap_or_default())
}

/// The ids of the products that a page lists, in its order.
fn listed(page: &Page) -> Vec<u64> {
    let rows = page.text.split("<a href=\"/products/").skip(1);
    rows.filter_map(|rest| rest.split('"').next()?.parse().ok()).collect()
}

/// Waits until a page holds all of these words.
async fn shows(system: &System, path: &str, words: &[&str]) -> Page {
    eventually(path, async || {
        let page = system.get(path).await?;
        for words in words {
            anyhow::ensure!(page.text.contains(words), "no {words}: {} {}", page.status, page.text);
        }
        Ok(page)
    })
    .await
}

/// An instance of a service.
async fn instance_of(system: &System, service: &str) -> anyhow::Result<Instance> {
    let listed = system.instances().await?.into_iter().find(|instance| instance.service == service);
    listed.with_context(|| format!("no {service} is registered"))
}
