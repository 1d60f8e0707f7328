//! One of three instances is killed under load and started again, three times.

use crate::bench::measure::Report;
use crate::bench::mesh::lab::Lab;
use crate::bench::mesh::mixture::{self, Mixture, WAIT};

/// Instances, each of which is killed once.
const COUNT: usize = 3;

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let lab = Lab::start().await?;
    let mut specimens = Vec::new();
    for _ in 0..COUNT {
        specimens.push(lab.specimen(&[WAIT]).await?);
    }
    let mixture = Mixture::start(&lab.client_of(COUNT).await);
    let mut restarted = Vec::new();
    for specimen in specimens {
        mixture::go_on().await;
        specimen.kill().await?;
        mixture::go_on().await;
        restarted.push(lab.specimen(&[WAIT]).await?);
        lab.until_ready(COUNT).await;
    }
    mixture::go_on().await;
    mixture.end("kill", report).await;
    Ok(())
}
