//! Lighthouse, which grades pages: four of them, in four categories each.

use std::process::Stdio;

use anyhow::Context as _;
use harness::system::System;
use tokio::process::Command;

use crate::bench::measure::{Goal, Report};

const CATEGORIES: [&str; 4] = ["performance", "accessibility", "best-practices", "seo"];

/// The release that is measured with.
const PACKAGE: &str = "lighthouse@12";

pub(super) async fn measure(system: &System, report: &mut Report) -> anyhow::Result<()> {
    let pages = [("home", "/"), ("product", "/products/1"), ("search", "/search?q=stud"), ("logs", "/logs")];
    for (name, path) in pages {
        let grades = grade(&format!("http://{}{path}", system.portal())).await?;
        for category in CATEGORIES {
            let score = grades["categories"][category]["score"].as_f64().context("no score")?;
            let measure = format!("lighthouse_{name}_{}", category.replace('-', "_"));
            report.add(&measure, score * 100.0, "of 100", Goal::AtLeast(100.0));
        }
    }
    Ok(())
}

async fn grade(address: &str) -> anyhow::Result<serde_json::Value> {
    let output = Command::new("npx")
        .args(["--yes", PACKAGE, address, "--output=json", "--quiet"])
        .arg(format!("--only-categories={}", CATEGORIES.join(",")))
        // As root there is no sandbox to be had.
        .arg("--chrome-flags=--headless=new --no-sandbox --disable-gpu")
        .env("CHROME_PATH", "/usr/bin/chromium")
        .stdin(Stdio::null())
        .output()
        .await
        .context("could not start npx")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
