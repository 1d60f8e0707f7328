//! What a first view of Home weighs: the page, and all that it asks a browser to get.

use harness::system::System;

use crate::bench::measure::{Goal, Report};
use crate::bench::portal::visitors::Visitors;

/// What one round trip brings at first: ten packets.
const FIRST_FLIGHT: f64 = 14.0 * 1024.0;

pub(super) async fn measure(system: &System, report: &mut Report) -> anyhow::Result<()> {
    let visitors = Visitors::of(system.portal());
    let home = visitors.get("/", &[]).await?;
    let page = system.get("/").await?.text;
    let (mut bytes, mut requests) = (home.body.len(), 1);
    for reference in references(&page) {
        anyhow::ensure!(reference.starts_with('/') && !reference.starts_with("//"), "{reference} is elsewhere");
        bytes += visitors.get(reference, &[]).await?.body.len();
        requests += 1;
    }
    let scripts = page.matches("<script").count() + page.matches("javascript:").count();
    report.add("first_view_bytes", bytes as f64, "bytes", Goal::AtMost(FIRST_FLIGHT));
    report.add("first_view_requests", f64::from(requests), "requests", Goal::AtMost(2.0));
    report.add("first_view_scripts", scripts as f64, "scripts", Goal::AtMost(0.0));
    Ok(())
}

/// What a browser gets by itself: styles, pictures, frames, fonts; what stands in the page costs nothing.
fn references(page: &str) -> impl Iterator<Item = &str> {
    let tags = page.split('<').filter(|tag| {
        ["link ", "img ", "iframe ", "script ", "object ", "embed ", "source "]
            .iter()
            .any(|start| tag.starts_with(start))
    });
    let values = tags.filter_map(|tag| {
        let (_, value) = tag.split_once("href=\"").or_else(|| tag.split_once("src=\""))?;
        value.split('"').next()
    });
    values.filter(|value| !value.starts_with("data:"))
}
