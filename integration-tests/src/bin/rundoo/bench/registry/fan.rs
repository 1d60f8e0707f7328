//! One change on its way to thousands of watches. The herd makes it, so that one clock measures.

use crate::bench::measure::{Goal, Report};
use crate::bench::registry::herd::Herd;
use crate::bench::registry::node::Node;

/// 10,000 watches over a hundred connections.
pub(crate) const SHARED: &str = "watches --connections 100 --watches 100";

/// 5,000 watches with their own connections.
const OWN: &str = "watches --connections 5000 --watches 1";

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    for (name, arguments, goal) in [("watch_10000_over_100", SHARED, 250.0), ("watch_5000_own", OWN, 400.0)] {
        let node = Node::start().await?;
        let mut herd = Herd::start(node.address(), arguments)?;
        report.add(&format!("{name}_p50"), herd.says("p50_ms").await?, "ms", Goal::Stated);
        report.add(&format!("{name}_p99"), herd.says("p99_ms").await?, "ms", Goal::AtMost(goal));
        report.add(&format!("{name}_worst"), herd.says("worst_ms").await?, "ms", Goal::Stated);
    }
    Ok(())
}
