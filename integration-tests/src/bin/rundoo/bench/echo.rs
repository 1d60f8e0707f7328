//! The bare echo: what a call costs without anything of ours.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use harness::load::{Outcome, Traffic};
use harness::specimen::plain::specimen_service_client::SpecimenServiceClient;
use harness::specimen::{EchoRequest, WriteRequest};
use harness::{Program, binaries};
use tonic::transport::Channel;

/// Callers in the crowded measures.
pub(crate) const CROWD: usize = 64;

/// What a call carries.
pub(crate) const TEXT: &str = "a product's worth of bytes to carry there";

/// A client over a plain connection.
pub(crate) type Client = SpecimenServiceClient<Channel>;

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

    /// A new connection.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(harness::health::connect(self.address().await?).await?))
    }

    /// Calls that carry a text there and nothing back.
    pub(crate) async fn measure(&self, callers: usize, each: Duration) -> anyhow::Result<Outcome> {
        let client = self.client().await?;
        let traffic = Traffic::start(callers, Duration::ZERO, move || {
            let mut client = client.clone();
            async move {
                client.write(WriteRequest { request_id: TEXT.to_owned(), task: None }).await?;
                Ok(())
            }
        });
        tokio::time::sleep(each).await;
        Ok(traffic.end().await)
    }
}

/// A call that carries a text there and back.
pub(crate) async fn call(mut client: Client) -> anyhow::Result<()> {
    client.echo(EchoRequest { text: TEXT.to_owned(), task: None }).await?;
    Ok(())
}
