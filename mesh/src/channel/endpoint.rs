//! One instance as a channel knows it: where it is, how the registry sees it, how its calls fare.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use proto::mesh::Peer;
use tokio::time::Instant;

use crate::channel::ewma::PeakEwma;
use crate::picture::Rank;

/// The weight of an instance that did not say another.
const USUAL_WEIGHT: u32 = 100;

/// A failure counts as an answer that took this long, or ten times as long as usual when that is more:
/// a fast failure must not look like a fast server.
const PENALTY: Duration = Duration::from_secs(1);

/// An instance. It stays the same while its connection comes and goes.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: String,
    rank: AtomicU8,
    weight: AtomicU32,
    same_zone: AtomicBool,
    connected: AtomicBool,
    ejected: AtomicBool,
    in_flight: AtomicU32,
    latency: PeakEwma,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

/// How the registry sees an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) rank: Rank,
    /// 0 is the usual weight.
    pub(crate) weight: u32,
    pub(crate) same_zone: bool,
}

impl Standing {
    /// Nothing is known against it.
    pub(crate) const READY: Self = Self { rank: Rank::Ready, weight: USUAL_WEIGHT, same_zone: true };
}

impl Endpoint {
    pub(crate) fn new(address: String, standing: Standing) -> Self {
        let endpoint = Self {
            address,
            rank: AtomicU8::new(0),
            weight: AtomicU32::new(0),
            same_zone: AtomicBool::new(true),
            connected: AtomicBool::new(false),
            ejected: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            latency: PeakEwma::new(Instant::now()),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        endpoint.set(standing);
        endpoint
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn set(&self, standing: Standing) {
        let weight = if standing.weight == 0 { USUAL_WEIGHT } else { standing.weight };
        self.weight.store(weight, Ordering::Relaxed);
        self.same_zone.store(standing.same_zone, Ordering::Relaxed);
        self.set_rank(standing.rank);
    }

    pub(crate) fn set_rank(&self, rank: Rank) {
        self.rank.store(rank as u8, Ordering::Release);
    }

    pub(crate) fn rank(&self) -> Rank {
        match self.rank.load(Ordering::Acquire) {
            0 => Rank::Ready,
            1 => Rank::Suspect,
            _ => Rank::Resting,
        }
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub(crate) fn set_ejected(&self, ejected: bool) {
        self.ejected.store(ejected, Ordering::Relaxed);
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Relaxed)
    }

    pub(crate) fn is_near(&self) -> bool {
        self.same_zone.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What one more call would cost here: what answers take, times who waits for one, by weight.
    pub(crate) fn cost(&self, now: Instant) -> f64 {
        // Two instances that faded to nothing are told apart by who has less to do.
        let latency = self.latency.read(now).max(1e-6);
        latency * f64::from(self.in_flight() + 1) / f64::from(self.weight.load(Ordering::Relaxed).max(1))
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn succeeded(&self, now: Instant, took: Duration) {
        self.succeeded.fetch_add(1, Ordering::Relaxed);
        self.latency.add(now, took);
    }

    pub(crate) fn failed(&self, now: Instant, took: Duration) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.slow_down(now, took);
    }

    /// Takes it for slow, though it did not fail: it asked for that.
    pub(crate) fn slow_down(&self, now: Instant, took: Duration) {
        let usual = Duration::from_secs_f64(self.latency.read(now));
        // Ten times what is ten times already would never end.
        self.latency.add(now, took.max(PENALTY).max((usual * 10).min(PENALTY * 10)));
    }

    /// As `GetStats` tells it; the service is for who knows it to say.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            service: String::new(),
            address: self.address.clone(),
            connected: self.connected.load(Ordering::Relaxed),
            suspect: self.rank() == Rank::Suspect,
            draining: self.rank() == Rank::Resting,
            ejected: self.is_ejected(),
            same_zone: self.is_near(),
            weight: self.weight.load(Ordering::Relaxed),
            in_flight: self.in_flight(),
            latency: Duration::from_secs_f64(self.latency.read(Instant::now())).try_into().ok(),
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
