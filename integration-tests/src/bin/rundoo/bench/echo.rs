//! The bare echo: what a call costs without anything of ours.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use harness::load::{Outcome, Traffic};
use harness::{Program, binaries};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Callers in the crowded measures.
pub(crate) const CROWD: usize = 64;

/// A bare tonic server in a process of its own, as the services are.
pub(crate) struct Echo {
    process: harness::Process,
}

impl Echo {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = binaries::folder()?;
        let process = Program::new(&folder, "echo", &std::env::temp_dir()).start()?;
        Ok(Self { process })
    }

    /// Where it listens, once it does.
    pub(crate) async fn address(&self) -> anyhow::Result<SocketAddr> {
        let said = async || self.process.find("serving gRPC on ").context("not yet");
        Ok(harness::eventually("the echo serves", said).await.parse()?)
    }

    pub(crate) async fn measure(&self, callers: usize, each: Duration) -> anyhow::Result<Outcome> {
        let channel = harness::health::connect(self.address().await?).await?;
        let traffic = Traffic::start(callers, Duration::ZERO, move || {
            let mut client = HealthClient::new(channel.clone());
            async move {
                client
                    .check(HealthCheckRequest { service: "a product's worth of bytes to carry there".into() })
                    .await?;
                Ok(())
            }
        });
        tokio::time::sleep(each).await;
        Ok(traffic.end().await)
    }
}
