//! The connections of a door: accepted, served over HTTP/2, drained, and cut when they do not end.
//!
//! On hyper itself and not on tonic's transport, whose graceful shutdown waits for
//! ever for a connection that hangs, and whose connections weigh more.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;

use super::begun::Begun;
use super::places::{Place, Places};
use super::{Door, preface};
use crate::complaints::Complaints;
use crate::layers::Inner;
use crate::tls::{Certificates, Shown};

/// A PING proves the connection of a silent client; without an answer it is cut.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// hyper's own default is 200; a portal's worth of calls travels on one connection.
const STREAMS_PER_CONNECTION: u32 = 1024;

/// What headers may weigh: a trace, a few ids, error details.
const HEADER_BYTES: u32 = 16 * 1024;

/// What all requests of a connection that no handler has read yet may weigh. h2 cuts a connection on which small
/// messages wait that would fill half of it with the bookkeeping of their frames: it takes them for an attack.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// What is open on a connection whose certificate is believed no more has so long; others dial anew meanwhile.
const LAST: Duration = Duration::from_secs(10);

/// Accepting fails when the process is out of file descriptors: trying again at once would spin.
const PAUSE: Duration = Duration::from_millis(50);

/// How connections end.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// When the process stops: what is open is finished.
    pub(crate) drain: CancellationToken,
    /// When it has waited long enough: what is left is cut.
    pub(crate) cut: CancellationToken,
    /// How old a connection may become, about. Its client opens another then, perhaps elsewhere;
    /// streams on the old one go on until they end.
    pub(crate) age: Duration,
}

impl Ends {
    /// Resolves when a connection that begins now is to take no more requests.
    async fn drained(&self) {
        // A tenth of it is chance, so that clients that came together do not all leave together.
        let age = self.age.mul_f64(0.95 + fastrand::f64() / 10.0);
        tokio::select! {
            () = self.drain.cancelled() => {}
            () = tokio::time::sleep(age) => {}
        }
    }
}

/// Serves until `ends` says to drain, then finishes what is open, and ends what is left when it says to cut.
pub(crate) async fn serve(door: Door, service: impl Inner, ends: Ends) {
    let connections = TaskTracker::new();
    let places = Places::open();
    let lock = door.certificates.clone().map(|certificates| Lock { certificates, complaints: Complaints::default() });
    let (listener, lock, tracker, told) = (&door.listener, &lock, &connections, &ends);
    let accepting = async move {
        loop {
            let place = places.take().await;
            let (stream, peer) = accept(listener).await;
            let local_addr = stream.local_addr().ok();
            let info = TcpConnectInfo { local_addr, remote_addr: Some(peer) };
            let began = Began { info, shown: None, ends: told.clone(), place };
            // A connection ends with its client, or as `ends` says.
            match lock {
                None => {
                    let connection = converse(stream, began, service.clone());
                    crate::task::detach("connection", tracker.track_future(connection));
                }
                Some(lock) => {
                    let connection = lock.clone().converse(stream, began, service.clone());
                    crate::task::detach("encrypted connection", tracker.track_future(connection));
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = ends.drain.cancelled() => {}
    }
    drop(door);
    connections.close();
    connections.wait().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        let accepted: io::Result<_> = async {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((stream, peer))
        }
        .await;
        match accepted {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!("could not accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection as it begins: from where, by whom, and how it will end.
struct Began {
    info: TcpConnectInfo,
    /// What it has shown of who it is, where that is asked.
    shown: Option<Shown>,
    ends: Ends,
    place: Place,
}

/// Answers the requests of one connection in plain text.
async fn converse(stream: TcpStream, began: Began, service: impl Inner) {
    let begins = tokio::select! {
        begins = preface::wait(&stream) => begins,
        () = began.ends.drain.cancelled() => return,
    };
    match begins {
        Ok(()) => answer(stream, began, service).await,
        Err(error) => tracing::debug!("a connection did not begin: {error}"),
    }
}

/// What makes a door take mutual TLS only.
#[derive(Clone)]
struct Lock {
    certificates: Certificates,
    complaints: Complaints,
}

impl Lock {
    /// Shakes hands, then answers the requests of one connection.
    async fn converse(self, stream: TcpStream, mut began: Began, service: impl Inner) {
        let drain = began.ends.drain.clone();
        let stream = tokio::select! {
            stream = self.shake_hands(stream, &mut began) => stream,
            () = drain.cancelled() => return,
        };
        // Two handshakes as large as a connection; neither is to be held while the connection lives.
        drop(self);
        if let Some(stream) = stream {
            answer(stream, began, service).await;
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        began: &mut Began,
    ) -> Option<Begun<tokio_rustls::server::TlsStream<TcpStream>>> {
        let peer = began.info.remote_addr.map_or_else(|| "somebody".to_owned(), |peer| peer.to_string());
        match self.certificates.accept(stream).await {
            Ok((stream, shown)) => {
                began.shown = Some(shown);
                let begun = Begun::wait(stream).await;
                begun.inspect_err(|error| tracing::debug!("a connection of {peer} did not begin: {error}")).ok()
            }
            Err(failure) if failure.is_silence() => {
                tracing::debug!("a connection of {peer} ended before its handshake: {failure}");
                None
            }
            Err(failure) => {
                self.complaints.warn(|more| {
                    tracing::warn!(peer = %peer, "refused a connection of {peer}: {failure}{more}");
                });
                None
            }
        }
    }
}

/// Answers the requests of one connection that begins with HTTP/2's preface, or with what is none.
async fn answer(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, began: Began, service: impl Inner) {
    let Began { info, shown, ends, place: _until_it_ends } = began;
    let name = shown.as_ref().map(|shown| shown.name().clone());
    // One copy of the stack for each connection, not for each request.
    let service = RefCell::new(service);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(info.clone());
        if let Some(name) = &name {
            request.extensions_mut().insert(name.clone());
        }
        let answer = service.borrow_mut().receive(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // In place: moved here from elsewhere, thousands of idle connections would each be held twice.
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .max_header_list_size(HEADER_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut doubted = std::pin::pin!(doubted(shown));
    let is_doubted = tokio::select! {
        ended = connection.as_mut() => return over(ended),
        () = ends.drained() => false,
        () = doubted.as_mut() => true,
    };
    connection.as_mut().graceful_shutdown();
    let last = async {
        if !is_doubted {
            doubted.await;
        }
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        ended = connection => over(ended),
        () = ends.cut.cancelled() => {}
        () = last => {}
    }
}

/// Resolves when a certificate is believed no more; never where none is asked for.
async fn doubted(shown: Option<Shown>) {
    let Some(mut shown) = shown else { return std::future::pending().await };
    let why = shown.doubted().await;
    tracing::warn!("ends a connection of {}: {why}", shown.name());
}

fn over(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        // Clients come and go; what they sent wrongly harms only themselves.
        tracing::debug!("a connection broke: {error}");
    }
}
