//! A channel to a service: one that survives instances coming and going.
//!
//! It is what a generated client is built on. Each call goes to the cheaper of two
//! connected instances; when none is connected it fails in words instead of hanging.
//! Request id, trace, caller and what is left of the deadline travel along. A request
//! that was never sent goes to another instance; one that may have been received is
//! repeated within a budget, when its contract says that this does no harm.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;

mod addresses;
mod answer;
mod attempts;
mod balancer;
mod budget;
mod connection;
mod dial;
mod endpoint;
mod endpoints;
mod ewma;
mod flight;
mod outbound;
mod outliers;
mod replay;
mod sticky;
mod words;

use crate::channel::balancer::{Balancer, Policy};
use crate::channel::budget::Budget;
pub(crate) use crate::channel::dial::Dial;
pub use crate::channel::dial::Io;
use crate::channel::endpoint::{Endpoint, Standing};
use crate::channel::endpoints::Keeper;
pub(crate) use crate::channel::words::Source;
use crate::identity::Identity;
use crate::methods::Methods;
use crate::picture::{Picture, Viewer};
use crate::spans::Exporter;
use crate::stats::{Made, Stats};
use crate::task::Tasks;
use crate::tls::{Certificates, Peer};

/// A balanced connection to all instances of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel(Arc<Shared>);

/// Who makes calls, from where, and who counts them.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) identity: Identity,
    /// The zone of this process; empty when there are no zones.
    pub(crate) zone: String,
    pub(crate) stats: Arc<Stats>,
    pub(crate) spans: Option<Exporter>,
    /// What connections are encrypted with; nothing for plain text.
    pub(crate) certificates: Option<Certificates>,
}

impl Origin {
    /// A process that nobody asks how its calls fare.
    pub(crate) fn of(identity: Identity) -> Self {
        Self { identity, zone: String::new(), stats: Arc::default(), spans: None, certificates: None }
    }

    /// How this process calls itself: by its certificate, where it has one.
    fn caller(&self) -> String {
        match &self.certificates {
            Some(certificates) => certificates.name().caller(self.identity.instance()),
            None => self.identity.to_string(),
        }
    }
}

/// A service as it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// In errors and metrics.
    pub(crate) service: &'a str,
    /// Say which methods may be repeated, and which stream.
    pub(crate) descriptors: &'a [u8],
}

#[derive(Debug)]
struct Shared {
    service: String,
    caller: HeaderValue,
    source: Source,
    balancer: Arc<Balancer>,
    picture: watch::Receiver<Picture>,
    methods: Methods,
    budget: Budget,
    made: Arc<Made>,
    spans: Option<Exporter>,
    keeper: Keeper,
    /// The tasks that keep connections; they end with the last clone.
    tasks: Tasks,
}

impl Channel {
    /// A channel to the instances that the viewer sees, for as long as `painting` keeps the picture current.
    pub(crate) fn following(
        target: Target<'_>,
        origin: &Origin,
        source: Source,
        (viewer, painting): (Viewer, impl Future<Output = ()> + Send + 'static),
    ) -> Self {
        let dial = Dial::to(Peer::Service(target.service.to_owned()), origin.certificates.clone());
        let keeper = Keeper { balancer: Arc::new(Balancer::new(Policy::Cheaper)), dial, zone: origin.zone.clone() };
        Self::kept_by(keeper, (target, origin, source), (viewer, painting))
    }

    fn kept_by(
        keeper: Keeper,
        (target, origin, source): (Target<'_>, &Origin, Source),
        (viewer, painting): (Viewer, impl Future<Output = ()> + Send + 'static),
    ) -> Self {
        let (tasks, picture) = (Tasks::new(), viewer.picture.clone());
        tasks.spawn("discovery", painting);
        tasks.spawn("endpoints", keeper.clone().follow(viewer));
        Self::new(target, origin, source, (keeper, picture, tasks))
    }

    /// A channel to one of these addresses, HOST:PORT each: the first that is open, and always
    /// that one while it is. Where there are certificates, who answers has to be `peer`.
    pub(crate) fn sticky(target: Target<'_>, origin: &Origin, (peer, addresses): (Peer, &[String])) -> Self {
        let balancer = Arc::new(Balancer::new(Policy::sticky(addresses)));
        let dial = Dial::to(peer, origin.certificates.clone());
        let keeper = Keeper { balancer, dial, zone: origin.zone.clone() };
        let tasks = Tasks::new();
        for address in addresses {
            keep_address(&tasks, &keeper, address.clone());
        }
        // A picture that nobody paints: fixed addresses are never "last heard".
        let picture = watch::channel(Picture::default()).1;
        Self::new(target, origin, Source::Fixed, (keeper, picture, tasks))
    }

    fn new(
        target: Target<'_>,
        origin: &Origin,
        source: Source,
        (keeper, picture, tasks): (Keeper, watch::Receiver<Picture>, Tasks),
    ) -> Self {
        let balancer = keeper.balancer.clone();
        let made = origin.stats.made(target.service);
        let told = Arc::downgrade(&balancer);
        made.told_by(Box::new(move || told.upgrade().map(|balancer| balancer.peers())));
        let caller = HeaderValue::from_str(&origin.caller());
        Self(Arc::new(Shared {
            service: target.service.to_owned(),
            caller: caller.unwrap_or(HeaderValue::from_static("unknown")),
            source,
            balancer,
            picture,
            methods: Methods::read(&[target.descriptors]),
            budget: Budget::default(),
            made,
            spans: origin.spans.clone(),
            keeper,
            tasks,
        }))
    }

    /// Where an instance is that is connected, of several the one with the least address; none when nobody is.
    pub fn address(&self) -> Option<String> {
        self.0.balancer.address()
    }

    /// Whether its connections are encrypted.
    pub fn is_secure(&self) -> bool {
        self.0.keeper.dial.is_secure()
    }

    /// Makes calls go to `address` from now on, once a connection to it is open; waits for `most`.
    pub(crate) async fn go_to(&self, address: &str, most: Duration) -> bool {
        let balancer = &self.0.balancer;
        if tokio::time::timeout(Duration::ZERO, balancer.connected(address)).await.is_err() {
            keep_address(&self.0.tasks, &self.0.keeper, address.to_owned());
        }
        let open = tokio::time::timeout(most, balancer.connected(address)).await.is_ok();
        if open {
            balancer.prefer(address);
        }
        open
    }
}

fn keep_address(tasks: &Tasks, keeper: &Keeper, address: String) {
    tasks.spawn("endpoint", keeper.clone().keep(Arc::new(Endpoint::new(address, Standing::READY))));
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    /// Always ready: whether an instance is connected shows when the call is sent.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let channel = self.clone();
        Box::pin(async move { channel.send(request).await })
    }
}

#[cfg(test)]
mod simulation;
