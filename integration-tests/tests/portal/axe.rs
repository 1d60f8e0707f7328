//! Every page as axe judges it, in both schemes and on a phone: no finding at all.

use harness::browser::{Browser, Look};
use harness::eventually;
use harness::skip::skip;
use harness::system::System;
use serde_json::json;

use super::door::people::{House, PASSWORD};
use super::manners::pages;

/// Runs axe and answers each finding with what it is about; the size of what one touches is judged too, which axe
/// leaves out when nobody asks.
const RUN: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }).then(result => done(result.violations.map(
        violation => `${violation.id}: ${violation.nodes.map(node => node.target.join(' ')).join(', ')}`)));
";

/// The source of axe; none when the machine has none, which is said.
fn axe() -> anyhow::Result<Option<String>> {
    let Some(file) = std::env::var_os("RUNDOO_AXE") else {
        skip("axe on every page", "npm install axe-core && export RUNDOO_AXE=$PWD/node_modules/axe-core/axe.min.js");
        return Ok(None);
    };
    Ok(Some(std::fs::read_to_string(file)?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_nothing_on_any_page() -> anyhow::Result<()> {
    let Some(axe) = axe()? else { return Ok(()) };
    let system = System::start().await?;
    let pages = pages(&system).await?;
    for look in [Look::default(), Look { dark: true, ..Look::default() }, Look::PHONE] {
        let look = Look { scripts: true, ..look };
        let Some(browser) = Browser::start(look).await? else { return Ok(()) };
        for (path, _, _) in &pages {
            browser.open(&format!("http://{}{path}", system.portal())).await?;
            browser.client().execute(&axe, vec![]).await?;
            let findings = browser.client().execute_async(RUN, vec![]).await?;
            assert_eq!(findings, json!([]), "{path}, {look:?}");
        }
        browser.close().await?;
    }
    Ok(())
}

/// Fills the form of the login page in, and sends it.
const LOG_IN: &str = "
    document.getElementById('name').value = 'root';
    document.getElementById('password').value = arguments[0];
    document.querySelector('main form').submit();
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_nothing_on_the_pages_of_accounts() -> anyhow::Result<()> {
    let Some(axe) = axe()? else { return Ok(()) };
    let house = House::start(&[("ann", "viewer")]).await?;
    let root = house.log_in("root").await?;
    root.post("/account/tokens", &[("label", "till"), ("scope", "products:read"), ("days", "9")]).await?;
    house.shows(&root, "/audit", &["made API token 1"]).await;
    let paths =
        ["/login", "/login?notice=loggedout", "/", "/account", "/users", "/users/ann", "/users/nobody", "/audit"];
    for look in [Look::default(), Look { dark: true, ..Look::default() }, Look::PHONE] {
        let look = Look { scripts: true, ..look };
        let Some(browser) = Browser::start(look).await? else { return Ok(()) };
        for path in paths {
            let url = format!("http://{}{path}", house.system.portal());
            browser.open(&url).await?;
            browser.client().execute(&axe, vec![]).await?;
            let findings = browser.client().execute_async(RUN, vec![]).await?;
            assert_eq!(findings, json!([]), "{path}, {look:?}");
            if path.starts_with("/login?") {
                browser.client().execute(LOG_IN, vec![json!(PASSWORD)]).await?;
                eventually("the browser is logged in", async || {
                    browser.open(&format!("http://{}/account", house.system.portal())).await?;
                    let at = browser.client().current_url().await?;
                    anyhow::ensure!(at.path() == "/account", "it is at {at}");
                    Ok(())
                })
                .await;
            }
        }
        browser.close().await?;
    }
    Ok(())
}
