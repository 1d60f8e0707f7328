//! How a connection's bytes travel: TCP, unless somebody says otherwise.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A loopback or rack neighbour accepts in microseconds; a second is a lost host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that go both ways.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Opens connections to HOST:PORT. A simulation has one of its own.
#[derive(Clone)]
pub(crate) struct Dial(Arc<Opens>);

type Opens = dyn Fn(String) -> BoxFuture<'static, io::Result<Box<dyn Io>>> + Send + Sync;

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dial")
    }
}

impl Dial {
    pub(crate) fn new(
        open: impl Fn(String) -> BoxFuture<'static, io::Result<Box<dyn Io>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(open))
    }

    pub(crate) fn tcp() -> Self {
        Self::new(|address| {
            Box::pin(async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream) as Box<dyn Io>)
            })
        })
    }

    pub(crate) async fn open(&self, address: &str) -> io::Result<Box<dyn Io>> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, (self.0)(address.to_owned())).await;
        opened.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it did not accept within a second")))
    }
}
