//! Provides a place among the calls that are worked on, or refuses at once: RESOURCE_EXHAUSTED.
//!
//! Only unary calls take a place: a stream may live for ever, and costs little
//! while it waits. Health checks and questions about the process itself always
//! have a lane of their own, as heartbeats do, being streams. Who has a place has to send
//! its message within ten seconds.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use proto::mesh::{ErrorReason, MethodKind};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

use super::arrival::Arriving;
use super::deadline::EARLIER;
use super::stage::{Escort, Head, Stage};
use crate::call::{Call, Permit};
use crate::refusal::Refusal;
use crate::stats::Stats;
use crate::vegas::{Baseline, Limits, Sample, Vegas};

/// Services that are always answered.
const EXEMPT: [&str; 3] = ["/grpc.health.v1.", "/grpc.reflection.v1", "/rundoo.mesh.v1."];

/// Who is refused comes again after about what calls take, but within these bounds.
const SOONEST: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_secs(1);

/// Limits the calls that are worked on at the same time.
#[derive(Debug)]
pub struct Limit(Arc<Places>);

#[derive(Debug)]
struct Places {
    stats: Arc<Stats>,
    learnt: Mutex<Learnt>,
}

#[derive(Debug)]
struct Learnt {
    vegas: Vegas,
    baselines: HashMap<String, Baseline>,
}

/// A place among the calls that are worked on; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    path: String,
    began: Instant,
    deadline: Option<Instant>,
    beside: u32,
    /// Whether the call was answered well: others say nothing about what calls take.
    answered: bool,
}

impl Limit {
    pub(super) fn new(stats: Arc<Stats>, limits: Limits) -> Self {
        let vegas = Vegas::new(limits);
        stats.concurrency.limit.store(vegas.limit(), Ordering::Relaxed);
        Self(Arc::new(Places { stats, learnt: Mutex::new(Learnt { vegas, baselines: HashMap::new() }) }))
    }
}

/// Whether a method is answered whatever else goes on.
pub(super) fn is_exempt(path: &str) -> bool {
    EXEMPT.iter().any(|service| path.starts_with(service))
}

impl Stage for Limit {
    const NAME: &'static str = "limit";
    type Value = Permit;
    type Escort = Option<Place>;

    fn arrive(&self, request: &mut Request<Body>) -> Result<Option<Place>, Status> {
        let path = request.uri().path();
        let call = request.extensions().get::<Call>();
        let give = |beside| call.into_iter().for_each(|call| call.set_permit(Permit { beside }));
        if self.0.stats.kind(path) != MethodKind::Unary || is_exempt(path) {
            give(0);
            return Ok(None);
        }
        let counts = &self.0.stats.concurrency;
        let beside = counts.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        give(beside);
        // The clock was read when the call arrived.
        let (began, deadline) = call.map_or_else(|| (Instant::now(), None), |call| (call.arrived(), call.deadline()));
        let (places, path) = (self.0.clone(), path.to_owned());
        let place = Place { places, path, began, deadline, beside, answered: false };
        if beside <= counts.limit.load(Ordering::Relaxed) {
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(Arriving::since(began, body));
            return Ok(Some(place));
        }
        counts.refused.fetch_add(1, Ordering::Relaxed);
        Err(place.refusal())
    }
}

impl Place {
    fn refusal(&self) -> Status {
        let baseline = self.places.learnt.try_lock().ok().and_then(|learnt| learnt.baselines.get(&self.path).copied());
        let time = baseline.unwrap_or_default().time() * self.beside;
        // Half of it is chance, so that those who were refused together do not come back together.
        let wait = time.clamp(SOONEST, LATEST).mul_f64(0.5 + fastrand::f64());
        let message = format!("{} calls are being worked on, which is as many as go well", self.beside - 1);
        Refusal::new(Code::ResourceExhausted, proto::mesh::DOMAIN, ErrorReason::Overloaded.as_str_name(), message)
            .retry_after(wait)
            .into_status()
    }

    fn learn(&self) {
        // When two calls end in the same moment, one of them teaches nothing.
        let Ok(mut learnt) = self.places.learnt.try_lock() else { return };
        let Learnt { vegas, baselines } = &mut *learnt;
        let sample = Sample { took: self.began.elapsed(), beside: self.beside, answered: self.answered };
        // Paths come from the contracts, so there are few.
        match baselines.get_mut(&self.path) {
            Some(baseline) => vegas.learn(baseline, sample),
            None => vegas.learn(baselines.entry(self.path.clone()).or_default(), sample),
        }
        self.places.stats.concurrency.limit.store(vegas.limit(), Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.stats.concurrency.in_flight.fetch_sub(1, Ordering::Relaxed);
        // Who was given up because its time was over waited too long, wherever that was.
        let is_late = || self.deadline.is_some_and(|deadline| Instant::now() + EARLIER >= deadline);
        if self.answered || is_late() {
            self.learn();
        }
    }
}

impl Escort for Option<Place> {
    fn poll_head<F, B>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Head<B>>
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: http_body::Body,
    {
        work.poll(cx).map(|Ok(response)| {
            let is_refusal = response.headers().contains_key(Status::GRPC_STATUS);
            if let Some(place) = self {
                place.answered = !is_refusal;
            }
            Head::Theirs(response)
        })
    }
}
