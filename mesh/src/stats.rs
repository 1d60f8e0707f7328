//! The golden metrics of this process: calls that it took and calls that it made.
//!
//! Labels are bounded: methods are those of the contracts, and callers beyond the
//! first sixty-four services share one label.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use proto::mesh::{CallStats, Concurrency, MethodKind, Peer};

use crate::callers::{Callers, Known};
use crate::load::Load;
use crate::methods::Methods;
use crate::series::Series;

/// Methods of one called service that are told apart; the rest, which no contract of ours has, share a label.
const MOST_METHODS: usize = 256;

/// What stands for methods that do not exist.
const UNKNOWN: &str = "unknown";

/// What this process counts. Shared by its layers and channels.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    callers: Callers,
    /// Set once, when the services are known.
    taken: OnceLock<HashMap<String, Taken>>,
    unknown: Taken,
    made: RwLock<Vec<Arc<Made>>>,
    pub(crate) load: Load,
    pub(crate) concurrency: ConcurrencyStats,
}

/// The adaptive limit, as it is read.
#[derive(Debug, Default)]
pub(crate) struct ConcurrencyStats {
    pub(crate) limit: AtomicU32,
    pub(crate) in_flight: AtomicU32,
    pub(crate) refused: AtomicU64,
}

/// Calls of one method that this process took, by caller.
#[derive(Debug)]
struct Taken {
    method: String,
    kind: MethodKind,
    series: RwLock<Vec<(Arc<Known>, Arc<Series>)>>,
}

impl Default for Taken {
    fn default() -> Self {
        Self::of(UNKNOWN, MethodKind::Unspecified)
    }
}

impl Taken {
    fn of(method: &str, kind: MethodKind) -> Self {
        Self { method: method.to_owned(), kind, series: RwLock::default() }
    }

    fn series(&self, caller: &Arc<Known>) -> Arc<Series> {
        let find = |all: &[(Arc<Known>, Arc<Series>)]| {
            all.iter().find(|(known, _)| Arc::ptr_eq(known, caller)).map(|(_, series)| series.clone())
        };
        if let Some(series) = find(&self.series.read().unwrap_or_else(PoisonError::into_inner)) {
            return series;
        }
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        find(&all).unwrap_or_else(|| {
            let series = Arc::new(Series::new(caller.name(), &self.method, self.kind));
            all.push((caller.clone(), series.clone()));
            series
        })
    }
}

impl Stats {
    /// Says which methods there are to be called; the first word counts.
    pub(crate) fn offers(&self, methods: &Methods) {
        let taken = methods.iter().map(|(path, method)| (path.to_owned(), Taken::of(path, method.kind)));
        let _already_said = self.taken.set(taken.collect());
    }

    /// Who calls, among those that are told apart.
    pub(crate) fn caller(&self, service: &str) -> Arc<Known> {
        self.callers.get(service)
    }

    /// The series of a method that `caller` calls here.
    pub(crate) fn taken(&self, path: &str, caller: &Arc<Known>) -> Arc<Series> {
        let known = self.taken.get().and_then(|taken| taken.get(path));
        known.unwrap_or(&self.unknown).series(caller)
    }

    /// Which way a method that is offered here streams.
    pub(crate) fn kind(&self, path: &str) -> MethodKind {
        self.taken.get().and_then(|taken| taken.get(path)).map_or(MethodKind::Unspecified, |taken| taken.kind)
    }

    /// Counts of the calls to a service: the same ones for each channel to it.
    pub(crate) fn made(&self, service: &str) -> Arc<Made> {
        let mut all = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = all.iter().find(|made| made.service == service) {
            return made.clone();
        }
        let made = Arc::new(Made { service: service.to_owned(), series: RwLock::default(), peers: RwLock::default() });
        all.push(made.clone());
        made
    }

    pub(crate) fn inbound(&self) -> Vec<CallStats> {
        let known = self.taken.get().into_iter().flat_map(HashMap::values);
        let mut all: Vec<CallStats> = Vec::new();
        for taken in known.chain([&self.unknown]) {
            let series = taken.series.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(series.iter().map(|(_, series)| series.read()));
        }
        all.sort_by(|a, b| (&a.method, &a.peer).cmp(&(&b.method, &b.peer)));
        all
    }

    pub(crate) fn outbound(&self) -> Vec<CallStats> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let read = |made: &Arc<Made>| {
            let series = made.series.read().unwrap_or_else(PoisonError::into_inner);
            series.values().map(|series| series.read()).collect::<Vec<_>>()
        };
        let mut all: Vec<CallStats> = made.iter().flat_map(read).collect();
        all.sort_by(|a, b| (&a.peer, &a.method).cmp(&(&b.peer, &b.method)));
        all
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Peer> = made.iter().flat_map(|made| made.peers()).collect();
        all.sort_by(|a, b| (&a.service, &a.address).cmp(&(&b.service, &b.address)));
        all
    }

    pub(crate) fn concurrency(&self) -> Concurrency {
        Concurrency {
            limit: self.concurrency.limit.load(Ordering::Relaxed),
            in_flight: self.concurrency.in_flight.load(Ordering::Relaxed),
            refused: self.concurrency.refused.load(Ordering::Relaxed),
        }
    }
}

/// Tells who is behind a channel; nothing once the channel is gone.
pub(crate) type Telling = Box<dyn Fn() -> Option<Vec<Peer>> + Send + Sync>;

/// Calls to one service that this process made.
pub(crate) struct Made {
    service: String,
    series: RwLock<HashMap<String, Arc<Series>>>,
    peers: RwLock<Vec<Telling>>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Made {
    /// The series of one method.
    pub(crate) fn series(&self, path: &str, kind: MethodKind) -> Arc<Series> {
        if let Some(series) = self.series.read().unwrap_or_else(PoisonError::into_inner).get(path) {
            return series.clone();
        }
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let path = if all.len() < MOST_METHODS { path } else { UNKNOWN };
        all.entry(path.to_owned()).or_insert_with(|| Arc::new(Series::new(&self.service, path, kind))).clone()
    }

    /// Asks `telling` for the instances of one more channel.
    pub(crate) fn told_by(&self, telling: Telling) {
        let mut all = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        // Channels come and go; those that went are forgotten when the next one comes.
        all.retain(|telling| telling().is_some());
        all.push(telling);
    }

    fn peers(&self) -> Vec<Peer> {
        let all = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let told = all.iter().filter_map(|telling| telling()).flatten();
        told.map(|peer| Peer { service: self.service.clone(), ..peer }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Measured;

    #[test]
    fn methods_that_do_not_exist_share_a_label() {
        let stats = Stats::default();
        stats.offers(&Methods::read(&[proto::mesh::DESCRIPTORS]));
        let portal = stats.caller("portal");

        for path in ["/a/b", "/c/d", "/rundoo.mesh.v1.MeshService/GetStats"] {
            drop(Measured::begin(stats.taken(path, &portal)));
        }

        let labels: Vec<_> = stats.inbound().into_iter().map(|calls| (calls.method, calls.started)).collect();
        let known = ("rundoo.mesh.v1.MeshService/GetStats".to_owned(), 1);
        assert_eq!(labels, [known, ("unknown".to_owned(), 2)]);
    }

    #[test]
    fn channels_to_the_same_service_share_their_counts() {
        let stats = Stats::default();

        drop(Measured::begin(stats.made("products").series("/a.B/C", MethodKind::Unary)));
        drop(Measured::begin(stats.made("products").series("/a.B/C", MethodKind::Unary)));

        let outbound = stats.outbound();
        assert_eq!((outbound.len(), outbound[0].started), (1, 2));
    }
}
