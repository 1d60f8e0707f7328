//! What two looks say of the calls between services, and of those that one service took.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proto::mesh::{CallStats, MethodKind, Stats};

use crate::{
    time::{Moment, span},
    traffic::{calls::Calls, look::Look},
};

/// How the mesh names a process that is asked by its address, whichever service it is of.
const BY_ADDRESS: &str = "instance";

/// What two looks say. Without the later one nothing is known; without the earlier one, what was
/// counted since the processes started.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    latest: Option<Arc<Look>>,
    before: Option<Arc<Look>>,
}

/// Calls of one service to another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edge {
    pub(crate) caller: String,
    pub(crate) called: String,
    /// Whether they keep the mesh going, rather than do what somebody wanted.
    pub(crate) is_housekeeping: bool,
    pub(crate) calls: Calls,
}

/// Calls of one method, by whoever called it, as a row shows them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Served {
    /// The gRPC service, with its package.
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) kind: &'static str,
    /// Who called it or, of calls that were made, who was called.
    pub(crate) peers: BTreeSet<String>,
    /// What was counted since the processes started.
    pub(crate) total: Calls,
    /// What came between the two looks.
    pub(crate) now: Calls,
    pub(crate) retries: u64,
}

impl Numbers {
    pub(crate) fn new(latest: Option<Arc<Look>>, before: Option<Arc<Look>>) -> Numbers {
        Numbers { latest, before }
    }

    /// When the later look was taken; none when nobody could be asked in time.
    pub(crate) fn until(&self) -> Option<Moment> {
        self.latest.as_ref().map(|look| look.moment)
    }

    /// Over which time the numbers are.
    pub(crate) fn over(&self) -> String {
        match (&self.latest, &self.before) {
            (Some(latest), Some(before)) => {
                let seconds = latest.taken.saturating_duration_since(before.taken).as_secs_f64().round();
                let words = if seconds < 120.0 {
                    span(std::time::Duration::from_secs_f64(seconds))
                } else {
                    format!("{:.0} min", seconds / 60.0)
                };
                format!("over the last {words}")
            }
            _ => "since they started".into(),
        }
    }

    /// Whether there was a look before, so that rates are those of a short while.
    pub(crate) fn has_before(&self) -> bool {
        self.before.is_some()
    }

    /// Who did not answer: service and instance.
    pub(crate) fn silent(&self) -> &[(String, String)] {
        self.latest.as_ref().map_or(&[], |look| &look.silent)
    }

    /// How many are asked, when there are more.
    pub(crate) fn cut(&self) -> Option<usize> {
        let look = self.latest.as_ref().filter(|look| look.cut)?;
        Some(look.counted.len() + look.silent.len())
    }

    /// The calls between services, in the order of their names.
    ///
    /// The caller's word counts, because it knows of calls that reached nobody; of callers that
    /// cannot be asked it is the word of who was called.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let (mut made, mut taken) = (BTreeMap::new(), BTreeMap::new());
        for (stats, before, seconds) in self.counted() {
            for after in stats.outbound.iter().filter(|calls| calls.peer != BY_ADDRESS) {
                let calls = Calls::between(earlier(before.map(|before| &before.outbound), after), after, seconds);
                let key = (stats.service.clone(), after.peer.clone(), keeps_house(&after.method));
                made.entry(key).or_insert_with(Calls::default).add(calls);
            }
            for after in &stats.inbound {
                let calls = Calls::between(earlier(before.map(|before| &before.inbound), after), after, seconds);
                let key = (after.peer.clone(), stats.service.clone(), keeps_house(&after.method));
                taken.entry(key).or_insert_with(Calls::default).add(calls);
            }
        }
        for (key, calls) in taken {
            made.entry(key).or_insert(calls);
        }
        let edge = |((caller, called, is_housekeeping), calls)| Edge { caller, called, is_housekeeping, calls };
        made.into_iter().map(edge).collect()
    }

    /// The calls that the instances of a service took, by method: what people want first, the mesh's own last.
    pub(crate) fn served(&self, service: &str) -> Vec<Served> {
        let mut rows = Rows::default();
        for (stats, before, seconds) in self.counted().filter(|(stats, ..)| stats.service == service) {
            for after in &stats.inbound {
                let now = Calls::between(earlier(before.map(|before| &before.inbound), after), after, seconds);
                rows.add(after, now);
            }
        }
        rows.in_order()
    }

    /// Each process that answered: what it counted, what it had counted at the look before, and the
    /// seconds between by its own clock. One that is new, or began anew, had counted nothing.
    fn counted(&self) -> impl Iterator<Item = (&Stats, Option<&Stats>, f64)> {
        let latest = self.latest.iter().flat_map(|look| &look.counted);
        latest.filter_map(|(name, stats)| {
            let before = self.before.as_ref().and_then(|look| look.counted.get(name));
            let before = before.filter(|before| before.start_time == stats.start_time);
            let began = seconds(before.map_or(stats.start_time, |before| before.time));
            let was_missed = before.is_none()
                && self
                    .before
                    .as_ref()
                    .is_some_and(|look| look.moment > Moment::read(stats.start_time).unwrap_or(look.moment));
            // What it counted while it was not asked has no place in this window.
            (!was_missed).then_some((stats, before, seconds(stats.time) - began))
        })
    }
}

impl Served {
    /// The calls that a process made or took since it started, by method and peer.
    pub(crate) fn list(counted: &[CallStats]) -> Vec<Served> {
        let mut rows = Rows::default();
        for calls in counted {
            rows.add(calls, Calls::default());
        }
        rows.in_order()
    }
}

/// Rows by method, while they are added up.
#[derive(Default)]
struct Rows(BTreeMap<(bool, String), Served>);

impl Rows {
    fn add(&mut self, after: &CallStats, now: Calls) {
        let (service, method) = after.method.split_once('/').unwrap_or(("", &after.method));
        let row = self.0.entry((keeps_house(&after.method), after.method.clone())).or_insert_with(|| Served {
            service: service.to_owned(),
            method: method.to_owned(),
            kind: kind(after.kind()),
            peers: BTreeSet::new(),
            total: Calls::default(),
            now: Calls::default(),
            retries: 0,
        });
        let peer = if after.peer == BY_ADDRESS { "each instance" } else { &after.peer };
        row.peers.insert(peer.to_owned());
        row.total.add(Calls::counted(after));
        row.now.add(now);
        row.retries += after.retries;
    }

    fn in_order(self) -> Vec<Served> {
        self.0.into_values().collect()
    }
}

/// The same calls in an earlier list.
fn earlier<'a>(before: Option<&'a Vec<CallStats>>, after: &CallStats) -> Option<&'a CallStats> {
    before?.iter().find(|calls| calls.method == after.method && calls.peer == after.peer)
}

/// Whether a method keeps the mesh going: beats, watches, logs on their way, what processes tell of themselves.
fn keeps_house(method: &str) -> bool {
    let (service, name) = method.split_once('/').unwrap_or(("", method));
    name.starts_with("Watch")
        || name.starts_with("Ship")
        || ["rundoo.mesh.", "rundoo.registry.", "grpc.", "opentelemetry."].iter().any(|own| service.starts_with(own))
}

fn kind(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary => "unary",
        MethodKind::ClientStream => "client stream",
        MethodKind::ServerStream => "server stream",
        MethodKind::BidiStream => "both stream",
        MethodKind::Unspecified => "unknown",
    }
}

fn seconds(time: Option<prost_types::Timestamp>) -> f64 {
    time.map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::traffic::calls::tests::counted;

    const LIST: &str = "rundoo.products.v1.ProductService/ListProducts";
    const BEAT: &str = "rundoo.registry.v1.RegistryService/Heartbeat";

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    fn process(service: &str, time: i64) -> Stats {
        Stats {
            service: service.into(),
            instance_id: "1".into(),
            start_time: at(1_000),
            time: at(time),
            ..Stats::default()
        }
    }

    fn portal(time: i64, calls: u64) -> Stats {
        let outbound =
            vec![counted(LIST, "productsvc", &[("OK", calls)], 3), counted(BEAT, "registry", &[("OK", 1)], 1)];
        Stats { outbound, ..process("portal", time) }
    }

    fn productsvc(time: i64, calls: u64) -> Stats {
        let inbound =
            vec![counted(LIST, "portal", &[("OK", calls)], 2), counted(LIST, "unknown", &[("INTERNAL", 2)], 2)];
        Stats { inbound, ..process("productsvc", time) }
    }

    fn numbers(before: Vec<Stats>, latest: Vec<Stats>) -> Numbers {
        let now = Instant::now() + Duration::from_secs(100);
        let before = (!before.is_empty()).then(|| Arc::new(Look::test(now - Duration::from_secs(10), before)));
        Numbers::new(Some(Arc::new(Look::test(now, latest))), before)
    }

    #[test]
    fn rates_are_between_two_looks_and_the_callers_word_counts() {
        let numbers =
            numbers(vec![portal(2_000, 100), productsvc(2_000, 90)], vec![portal(2_010, 150), productsvc(2_010, 140)]);

        let edges = numbers.edges();

        let seen: Vec<_> =
            edges.iter().map(|edge| (edge.caller.as_str(), edge.called.as_str(), edge.is_housekeeping)).collect();
        assert_eq!(
            seen,
            [("portal", "productsvc", false), ("portal", "registry", true), ("unknown", "productsvc", false)]
        );
        assert_eq!((edges[0].calls.rate_words().as_str(), edges[0].calls.p99().as_str()), ("5.0/s", "3.0 ms"));
        assert_eq!((edges[2].calls.ended, edges[2].calls.rate_words().as_str()), (0, "0/s"), "nothing new");
        assert_eq!(numbers.over(), "over the last 10 s");
    }

    #[test]
    fn one_look_says_what_was_since_the_start() {
        let numbers = numbers(vec![], vec![portal(1_100, 150), productsvc(1_100, 140)]);

        assert_eq!(numbers.edges()[0].calls.rate_words(), "1.5/s");
        assert_eq!(numbers.over(), "since they started");
    }

    #[test]
    fn who_began_anew_is_counted_from_its_start() {
        let mut anew = portal(2_010, 20);
        // After the look before, whenever this test runs.
        (anew.start_time, anew.time) = (at(9_000_000_000), at(9_000_000_004));

        let calls = numbers(vec![portal(2_000, 100)], vec![anew]).edges().swap_remove(0).calls;

        assert_eq!((calls.ended, calls.rate_words().as_str()), (20, "5.0/s"));
    }

    #[test]
    fn who_was_silent_before_is_not_counted_as_if_all_were_new() {
        assert!(numbers(vec![productsvc(2_000, 1)], vec![portal(2_010, 1_000_000)]).edges().is_empty());
    }

    #[test]
    fn methods_are_added_up_over_callers_and_the_meshs_own_come_last() {
        let mut process = productsvc(1_100, 8);
        process.inbound.insert(0, counted("grpc.health.v1.Health/Check", "registry", &[("OK", 1)], 1));

        let rows = numbers(vec![], vec![process]).served("productsvc");

        assert_eq!(rows.iter().map(|row| row.method.as_str()).collect::<Vec<_>>(), ["ListProducts", "Check"]);
        assert_eq!(rows[0].service, "rundoo.products.v1.ProductService");
        assert_eq!((rows[0].total.ended, rows[0].total.failed_words().as_str()), (10, "20 %"));
        assert_eq!(rows[0].peers.iter().map(String::as_str).collect::<Vec<_>>(), ["portal", "unknown"]);
        assert_eq!(rows[0].now.rate_words(), "0.1/s");
    }
}
