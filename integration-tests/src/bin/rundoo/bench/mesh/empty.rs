//! There is no instance: how soon a call is told so.

use std::time::Duration;

use harness::specimen::{DESCRIPTORS, SERVICE};
use harness::system::{free_port, loopback};
use mesh::Mesh;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::mesh::calls;
use crate::bench::mesh::lab::{Client, Lab};

/// Channels that are new, and calls over each: the first has heard of nothing yet.
const CHANNELS: usize = 10;
const CALLS: usize = 3;

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let lab = Lab::start().await?;
    fail(report, "listed_none", || lab.client()).await;
    let away = loopback(free_port()?).to_string();
    let client = || Client::new(Mesh::client(std::slice::from_ref(&away)).channel(SERVICE, DESCRIPTORS));
    fail(report, "registry_away", client).await;
    Ok(())
}

/// The slowest failure, and how many calls did anything else than fail with UNAVAILABLE.
async fn fail(report: &mut Report, name: &str, client: impl Fn() -> Client) {
    let (mut slowest, mut others) = (Duration::ZERO, 0);
    for _ in 0..CHANNELS {
        let client = client();
        for _ in 0..CALLS {
            let began = Instant::now();
            let answer = calls::read(client.clone()).await;
            slowest = slowest.max(began.elapsed());
            let status = answer.as_ref().err().and_then(|error| error.downcast_ref::<Status>());
            if status.map(Status::code) != Some(Code::Unavailable) {
                others += 1;
                println!("{name}: not UNAVAILABLE: {answer:?}");
            }
        }
    }
    report.add(&format!("{name}_worst"), ms(slowest), "ms", Goal::AtMost(1000.0));
    report.add(&format!("{name}_not_unavailable"), f64::from(others), "calls", Goal::AtMost(0.0));
}
