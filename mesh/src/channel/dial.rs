//! How a connection's bytes travel: TCP, inside of mutual TLS where there are certificates.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::tls::{Certificates, Peer};

/// A loopback or rack neighbour accepts in microseconds; a second is a lost host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer than the bound of a handshake, which has better words.
const ALL_OF_IT: Duration = Duration::from_secs(10);

/// Bytes that go both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Opens connections to HOST:PORT. A simulation has one of its own.
#[derive(Clone)]
pub(crate) struct Dial {
    open: Arc<Opens>,
    secure: bool,
}

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
        Self { open: Arc::new(open), secure: false }
    }

    /// To `peer`: in plain text without certificates.
    pub(crate) fn to(peer: Peer, certificates: Option<Certificates>) -> Self {
        match certificates {
            None => Self::tcp(),
            Some(certificates) => Self::tls(peer, certificates),
        }
    }

    pub(crate) fn tcp() -> Self {
        Self::new(|address| Box::pin(async move { Ok(Box::new(connect(address).await?) as Box<dyn Io>) }))
    }

    fn tls(peer: Peer, certificates: Certificates) -> Self {
        let open = move |address| {
            let (peer, certificates) = (peer.clone(), certificates.clone());
            let opening = async move {
                let stream = within(CONNECT_TIMEOUT, connect(address)).await?;
                let stream = certificates.connect(stream, &peer).await.map_err(io::Error::other)?;
                Ok(Box::new(stream) as Box<dyn Io>)
            };
            Box::pin(opening) as BoxFuture<'static, _>
        };
        Self { open: Arc::new(open), secure: true }
    }

    /// Whether what travels is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(crate) async fn open(&self, address: &str) -> io::Result<Box<dyn Io>> {
        let patience = if self.secure { ALL_OF_IT } else { CONNECT_TIMEOUT };
        within(patience, (self.open)(address.to_owned())).await
    }
}

async fn connect(address: String) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn within<T>(patience: Duration, opening: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let opened = tokio::time::timeout(patience, opening).await;
    opened.unwrap_or_else(|_| {
        let words = format!("it did not accept within {patience:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, words))
    })
}
