//! The accept loop: which connections the portal takes, and how it ends them.
//!
//! HTTP/1.1 only, by hyper, because its header deadline also cuts a connection
//! that never says anything; inside of TLS where there is a certificate. What a
//! request means is none of this file's business.

mod answer;
mod peer;
mod seats;
mod stall;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh::tls::PublicCertificate;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, error, info, warn};

use crate::{
    door::Network,
    edge::{
        answer::Answer,
        seats::{Seat, Seats},
        stall::Stall,
    },
};

pub(crate) use peer::Peer;

/// Connections that are open at once. Then the longest idle one gives way; when everybody is busy,
/// the next ones wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1024;

/// What one address may have of them.
const MAX_OF_ONE: usize = MAX_CONNECTIONS / 2;

/// How long a client may take for the head of a request, or be silent between two.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);

/// Header fields of one request; browsers send about 20.
const MAX_HEADERS: usize = 64;

/// Bytes of one request's head; a search of 200 characters needs 3 KiB of it at most.
const MAX_HEAD: usize = 32 * 1024;

/// How long requests may still run when the portal stops: a second less than the
/// mesh gives a stop step, so that what is cut is counted and said.
const DRAIN: Duration = Duration::from_secs(4);

/// How long a connection that is sent away may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long to wait when the machine is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// The open HTTP port.
pub(crate) struct Edge {
    listener: TcpListener,
    address: SocketAddr,
    /// None when it speaks plain text.
    certificate: Option<PublicCertificate>,
}

impl Edge {
    /// Takes the port; the error names it when someone else has it.
    pub(crate) async fn bind(address: SocketAddr, certificate: Option<PublicCertificate>) -> anyhow::Result<Edge> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("could not listen for HTTP on {address}"))?;
        let address = listener.local_addr().context("could not read the HTTP address")?;
        let edge = Edge { listener, address, certificate };
        info!(address = %address, "pages are at {}", edge.link(None));
        Ok(edge)
    }

    /// Where a browser finds it; `advertised` stands for an address that means all of them.
    pub(crate) fn link(&self, advertised: Option<IpAddr>) -> String {
        let own = self.address.ip();
        let ip = advertised.filter(|_| own.is_unspecified()).unwrap_or(own);
        format!("{}://{}/", self.scheme(), SocketAddr::new(ip, self.address.port()))
    }

    /// What pages are asked for by.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// Serves until the token, then lets running requests end, [`DRAIN`] at most.
    pub(crate) async fn serve(self, site: Router, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        self.receive(&site, &stop, &mut connections).await;
        drop(self.listener);
        drain(connections).await;
    }
}

impl Edge {
    /// Accepts until the token.
    async fn receive(&self, site: &Router, stop: &CancellationToken, connections: &mut JoinSet<()>) {
        let seats = Seats::new(MAX_CONNECTIONS, MAX_OF_ONE);
        // Kept from one turn to the next: who was accepted and waits for a seat is not to be dropped.
        let mut accepting = pin!(accept(&self.listener, &seats));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = accepting.as_mut() => accepted,
            };
            match accepted {
                Ok((stream, address, Some(seat))) => {
                    let peer = Peer { address, tls: self.certificate.is_some() };
                    let guest = Guest { site: site.clone(), stop: stop.clone(), seat, peer };
                    connections.spawn(guest.enter(stream, self.certificate.clone()));
                }
                Ok((stream, _, None)) => {
                    debug!("{MAX_OF_ONE} connections of one address are busy, and this is one more");
                    drop(stream);
                }
                Err(cause) if concerns_one_client(&cause) => {
                    debug!("a connection broke before it was accepted: {cause}");
                }
                Err(cause) => {
                    warn!("could not accept a connection: {cause}");
                    seats.free_one();
                    // Without a pause this loop would spin until a descriptor is free.
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            accepting.set(accept(&self.listener, &seats));
        }
    }
}

/// Who comes gets a seat, or waits for one; nobody else is accepted meanwhile, so that the backlog is what queues.
async fn accept(listener: &TcpListener, seats: &Seats) -> io::Result<(TcpStream, IpAddr, Option<Seat>)> {
    let (stream, peer) = listener.accept().await?;
    let address = peer.ip().to_canonical();
    let seat = seats.take(Network::of(address)).await;
    Ok((stream, address, seat))
}

fn concerns_one_client(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Who is connected.
struct Guest {
    site: Router,
    stop: CancellationToken,
    seat: Seat,
    peer: Peer,
}

impl Guest {
    /// Shakes hands where there is a certificate, then serves the connection.
    async fn enter(self, stream: TcpStream, certificate: Option<PublicCertificate>) {
        if let Err(cause) = stream.set_nodelay(true) {
            debug!("could not switch off Nagle's delay: {cause}");
        }
        let Some(certificate) = certificate else { return self.converse(stream).await };
        let shaken = tokio::select! {
            shaken = certificate.accept(stream) => shaken,
            () = self.stop.cancelled() => return,
            () = self.seat.leave() => return,
        };
        match shaken {
            Ok(stream) => self.converse(stream).await,
            Err(cause) => debug!("a connection did not begin: {cause}"),
        }
    }

    /// Serves one connection until it ends, somebody else needs its seat, or the portal stops.
    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin) {
        let Guest { site, stop, seat, peer } = self;
        let asked = AtomicBool::new(false);
        let service = service_fn(|mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            let busy = seat.busy();
            let answer = site.clone().oneshot(request.map(Body::new));
            async move { Ok::<_, Infallible>(answer.await?.map(|body| Answer::new(body, busy))) }
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
            () = seat.leave() => {
                connection.as_mut().graceful_shutdown();
                // Who is in the middle of a head is not waited for.
                timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
            }
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
