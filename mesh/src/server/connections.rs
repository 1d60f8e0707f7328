//! The connections of a door: accepted, served over HTTP/2, drained, and cut when they do not end.
//!
//! On hyper itself and not on tonic's transport, whose graceful shutdown waits for
//! ever for a connection that hangs, and whose connections weigh more.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt as _;

use super::Door;

/// A PING proves the connection of a silent client; without an answer it is cut.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// hyper's own default is 200; a portal's worth of calls travels on one connection.
const STREAMS_PER_CONNECTION: u32 = 1024;

/// What headers may weigh: a trace, a few ids, error details.
const HEADER_BYTES: u32 = 16 * 1024;

/// Accepting fails when the process is out of file descriptors: trying again at once would spin.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `drain` is cancelled, then finishes what is open, and ends what is left when `cut` is.
pub(crate) async fn serve(door: Door, routes: Routes, drain: CancellationToken, cut: CancellationToken) {
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            let (stream, peer) = accept(&door.listener).await;
            let local_addr = stream.local_addr().ok();
            let info = TcpConnectInfo { local_addr, remote_addr: Some(peer) };
            // A connection ends with its client, or on these tokens.
            let connection = converse(stream, info, routes.clone(), (drain.clone(), cut.clone()));
            crate::task::detach("connection", connections.track_future(connection));
        }
    };
    tokio::select! {
        () = accepting => {}
        () = drain.cancelled() => {}
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

/// Answers the requests of one connection.
async fn converse(
    stream: TcpStream,
    info: TcpConnectInfo,
    routes: Routes,
    (drain, cut): (CancellationToken, CancellationToken),
) {
    let service = service_fn(move |request| answer(routes.clone(), info.clone(), request));
    // In place: moved here from elsewhere, thousands of idle connections would each be held twice.
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .max_header_list_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = cut.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        // Clients come and go; what they sent wrongly harms only themselves.
        tracing::debug!("a connection broke: {error}");
    }
}

async fn answer(
    routes: Routes,
    info: TcpConnectInfo,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(info);
    routes.oneshot(request).await
}
