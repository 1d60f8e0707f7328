//! The accept loop: which connections the portal takes, and how it ends them.
//!
//! HTTP/1.1 only, by hyper, because its header deadline also cuts a connection
//! that never says anything. What a request means is none of this file's business.

mod peer;
mod stall;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, error, info, warn};

use crate::edge::stall::Stall;

pub(crate) use peer::Peer;

/// Connections that are open at once; the next ones wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take for the head of a request, or be silent between two.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);

/// Header fields of one request; browsers send about 20.
const MAX_HEADERS: usize = 64;

/// Bytes of one request's head; a search of 200 characters needs 3 KiB of it at most.
const MAX_HEAD: usize = 32 * 1024;

/// How long requests may still run when the portal stops: a second less than the
/// mesh gives a stop step, so that what is cut is counted and said.
const DRAIN: Duration = Duration::from_secs(4);

/// How long to wait when the machine is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// The open HTTP port.
pub(crate) struct Edge {
    listener: TcpListener,
    address: SocketAddr,
}

impl Edge {
    /// Takes the port; the error names it when someone else has it.
    pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<Edge> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("could not listen for HTTP on {address}"))?;
        let address = listener.local_addr().context("could not read the HTTP address")?;
        info!(address = %address, "pages are at http://{address}/");
        Ok(Edge { listener, address })
    }

    /// Where a browser finds it; `advertised` stands for an address that means all of them.
    pub(crate) fn link(&self, advertised: Option<IpAddr>) -> String {
        let own = self.address.ip();
        let ip = advertised.filter(|_| own.is_unspecified()).unwrap_or(own);
        format!("http://{}/", SocketAddr::new(ip, self.address.port()))
    }

    /// Serves until the token, then lets running requests end, [`DRAIN`] at most.
    pub(crate) async fn serve(self, site: Router, stop: CancellationToken) {
        let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = accept(&self.listener, &seats) => accepted,
            };
            match accepted {
                Ok((stream, seat)) => {
                    connections.spawn(converse(stream, site.clone(), stop.clone(), seat));
                }
                Err(cause) if concerns_one_client(&cause) => {
                    debug!("a connection broke before it was accepted: {cause}");
                }
                Err(cause) => {
                    warn!("could not accept a connection: {cause}");
                    // Without a pause this loop would spin until a descriptor is free.
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        drain(connections).await;
    }
}

/// Waits for a free seat first, so that the backlog is what queues.
async fn accept(listener: &TcpListener, seats: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    if seats.available_permits() == 0 {
        warn!("{MAX_CONNECTIONS} connections are open, the next ones wait");
    }
    let seat = Arc::clone(seats).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, seat))
}

fn concerns_one_client(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Serves one connection until it ends or the portal stops.
async fn converse(stream: TcpStream, site: Router, stop: CancellationToken, _seat: OwnedSemaphorePermit) {
    if let Err(cause) = stream.set_nodelay(true) {
        debug!("could not switch off Nagle's delay: {cause}");
    }
    let peer = stream.peer_addr().map_or(Peer::NOBODY, |address| Peer { address: address.ip(), tls: false });
    let asked = AtomicBool::new(false);
    let service = service_fn(|mut request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer);
        site.clone().oneshot(request.map(Body::new))
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Stall::new(stream)), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            // Browsers open connections in advance; hyper would wait for their first request.
            if !asked.load(Ordering::Relaxed) {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(cause) = ended {
        debug!("a connection ended early: {cause}");
    }
}

async fn drain(mut connections: JoinSet<()>) {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(DRAIN, all).await.is_err() {
        let left = connections.len();
        warn!(connections = left, "cut {left} connections that did not end within {DRAIN:?}");
        connections.shutdown().await;
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(cause) = ended {
        error!("a connection's task failed: {cause}");
    }
}
