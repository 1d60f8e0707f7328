//! One HTTP/2 connection to one instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::channel::answer::Answer;
use crate::channel::standing::Standing;
use crate::picture::Rank;

/// A loopback or rack neighbour accepts in microseconds; a second is a lost host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A PING proves the connection when nothing else does; without an answer it is cut.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// An open connection that takes requests.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    authority: Authority,
    sender: http2::SendRequest<Body>,
    in_flight: Arc<AtomicUsize>,
    standing: Arc<Standing>,
    /// Cancelled when its instance left the picture.
    unlisted: CancellationToken,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// It was never sent: here it is back.
    Unsent(Box<Request<Body>>),
    /// It may have been received.
    Lost(hyper::Error),
}

/// Drives a connection; resolves when it is over.
pub(crate) type Driver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Connection {
    /// Opens a connection to HOST:PORT.
    pub(crate) async fn open(address: &str, standing: Arc<Standing>) -> anyhow::Result<(Self, Driver)> {
        let authority: Authority = address.parse()?;
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await?;
        let driver = Box::pin(async move {
            if let Err(error) = connection.await {
                tracing::debug!("connection ended: {error}");
            }
        });
        Ok((
            Self {
                address: address.to_owned(),
                authority,
                sender,
                in_flight: Arc::default(),
                standing,
                unlisted: CancellationToken::new(),
            },
            driver,
        ))
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Says that nobody should wait for this instance any more.
    pub(crate) fn unlist(&self) {
        self.unlisted.cancel();
    }

    /// Resolves when the instance left the picture.
    pub(crate) async fn unlisted(&self) {
        self.unlisted.cancelled().await;
    }

    /// Whom to call first; nothing when it takes no new call.
    pub(crate) fn rank(&self) -> Option<Rank> {
        let rank = self.standing.rank();
        (rank != Rank::Resting && !self.sender.is_closed()).then_some(rank)
    }

    /// Requests that are not answered to their end.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Result<Answer, SendError> {
        *request.uri_mut() = self.uri(request.uri());
        let flight = Flight::begin(self.in_flight.clone());
        match self.sender.clone().try_send_request(request).await {
            Ok(response) => Ok(Answer::new(response, flight)),
            Err(mut error) => match error.take_message() {
                Some(request) => Err(SendError::Unsent(Box::new(request))),
                None => Err(SendError::Lost(error.into_error())),
            },
        }
    }

    fn uri(&self, uri: &Uri) -> Uri {
        let mut parts = uri.clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        Uri::from_parts(parts).expect("scheme, authority and the path of a generated client make a URI")
    }
}

/// Counts one request while it is in flight.
#[derive(Debug)]
pub(crate) struct Flight(Arc<AtomicUsize>);

impl Flight {
    fn begin(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
