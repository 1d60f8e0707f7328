//! Every page as axe judges it, in both schemes and on a phone: no finding at all.

use harness::browser::{Browser, Look};
use harness::skip::skip;
use harness::system::System;
use serde_json::json;

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
