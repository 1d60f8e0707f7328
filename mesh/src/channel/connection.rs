//! One HTTP/2 connection to one instance.

use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::channel::dial::Dial;
use crate::channel::endpoint::Endpoint;
use crate::picture::Rank;
use crate::tls;

/// A PING proves the connection when nothing else does; without an answer it is cut.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What all answers of a connection that nobody has read yet may weigh. h2 cuts a connection on which small
/// messages wait that would fill half of it with the bookkeeping of their frames: it takes them for an attack.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// An open connection that takes requests.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Arc<Endpoint>,
    authority: Authority,
    scheme: Scheme,
    sender: http2::SendRequest<Body>,
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

/// Drives a connection; resolves when it is over, with why when it broke.
pub(crate) type Driver = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Connection {
    /// Opens a connection.
    pub(crate) async fn open(endpoint: Arc<Endpoint>, dial: &Dial) -> anyhow::Result<(Self, Driver)> {
        let authority: Authority = endpoint.address().parse()?;
        let stream = dial.open(endpoint.address()).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let driver = Box::pin(async move {
            connection.await.map_err(|error| {
                tracing::debug!("connection ended: {error}");
                // Who refuses our certificate can say so only after we take the connection for open.
                tls::in_words(&error).unwrap_or_else(|| error.to_string())
            })
        });
        let scheme = if dial.is_secure() { Scheme::HTTPS } else { Scheme::HTTP };
        Ok((Self { endpoint, authority, scheme, sender, unlisted: CancellationToken::new() }, driver))
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
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
        let rank = self.endpoint.rank();
        (rank != Rank::Resting && !self.sender.is_closed()).then_some(rank)
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Result<http::Response<Incoming>, SendError> {
        *request.uri_mut() = self.uri(request.uri());
        match self.sender.clone().try_send_request(request).await {
            Ok(response) => Ok(response),
            Err(mut error) => match error.take_message() {
                Some(request) => Err(SendError::Unsent(Box::new(request))),
                None => Err(SendError::Lost(error.into_error())),
            },
        }
    }

    fn uri(&self, uri: &Uri) -> Uri {
        let mut parts = uri.clone().into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        Uri::from_parts(parts).expect("scheme, authority and the path of a generated client make a URI")
    }
}
