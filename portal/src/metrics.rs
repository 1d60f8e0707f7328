//! Which metrics there are, and how what processes counted becomes samples of them.
//!
//! Calls have the names of go-grpc-prometheus, so that dashboards made for it show
//! them. All samples carry the service and the instance that counted.

use std::collections::BTreeMap;

use proto::{
    mesh::{CallStats, Concurrency, MethodKind, Peer, Stats},
    registry::{Instance, InstanceState},
};

use crate::{
    backends::stats::Report,
    exposition::{Exposition, Labels, Metric},
};

const UP: Metric = Metric::gauge("rundoo_up", "Whether the instance answered when it was asked for its metrics.");
const INSTANCES: Metric = Metric::gauge("rundoo_instances", "Instances that the registry knows.");
const START_TIME: Metric =
    Metric::gauge("process_start_time_seconds", "When the process started, in seconds since 1970.");

const PEER_CONNECTED: Metric = Metric::gauge("rundoo_peer_connected", "Whether a connection to the peer is open.");
const PEER_SUSPECT: Metric =
    Metric::gauge("rundoo_peer_suspect", "Whether the registry doubts the peer, so that it is called last.");
const PEER_DRAINING: Metric =
    Metric::gauge("rundoo_peer_draining", "Whether the peer drains, so that it gets nothing new.");
const PEER_EJECTED: Metric =
    Metric::gauge("rundoo_peer_ejected", "Whether the peer failed so often that it is left alone for a while.");
const PEER_WEIGHT: Metric = Metric::gauge("rundoo_peer_weight", "The peer's share of calls; 100 is usual.");
const PEER_IN_FLIGHT: Metric = Metric::gauge("rundoo_peer_in_flight", "Attempts at the peer that have not ended.");
const PEER_LATENCY: Metric =
    Metric::gauge("rundoo_peer_latency_seconds", "What an answer of the peer takes, by its last ones.");
const PEER_SUCCEEDED: Metric = Metric::counter("rundoo_peer_succeeded_total", "Attempts at the peer that went well.");
const PEER_FAILED: Metric =
    Metric::counter("rundoo_peer_failed_total", "Attempts that failed for a reason that speaks against the peer.");

const LIMIT: Metric = Metric::gauge("rundoo_concurrency_limit", "Calls that may be worked on at the same time.");
const IN_FLIGHT: Metric = Metric::gauge("rundoo_concurrency_in_flight", "Calls that are being worked on.");
const REFUSED: Metric = Metric::counter("rundoo_refused_total", "Calls that were refused for being too many.");

/// The metrics of calls that processes took, or of those that they made.
struct Direction {
    /// The label that names the other service.
    peer: &'static str,
    started: Metric,
    handled: Metric,
    handling: Metric,
    in_flight: Metric,
    received: Metric,
    sent: Metric,
}

const SERVER: Direction = Direction {
    peer: "caller",
    started: Metric::counter("grpc_server_started_total", "Calls that began on the server."),
    handled: Metric::counter("grpc_server_handled_total", "Calls that ended on the server, by status."),
    handling: Metric::histogram("grpc_server_handling_seconds", "How long calls took on the server."),
    in_flight: Metric::gauge("grpc_server_in_flight", "Calls that have not ended on the server."),
    received: Metric::counter("grpc_server_received_bytes_total", "Bytes of messages that the server received."),
    sent: Metric::counter("grpc_server_sent_bytes_total", "Bytes of messages that the server sent."),
};

const CLIENT: Direction = Direction {
    peer: "callee",
    started: Metric::counter("grpc_client_started_total", "Calls that began on the client."),
    handled: Metric::counter("grpc_client_handled_total", "Calls that ended on the client, by status."),
    handling: Metric::histogram("grpc_client_handling_seconds", "How long calls took on the client."),
    in_flight: Metric::gauge("grpc_client_in_flight", "Calls that have not ended on the client."),
    received: Metric::counter("grpc_client_received_bytes_total", "Bytes of messages that the client received."),
    sent: Metric::counter("grpc_client_sent_bytes_total", "Bytes of messages that the client sent."),
};

const RETRIES: Metric =
    Metric::counter("grpc_client_retries_total", "Attempts after the first, because the one before failed.");

/// The states that are told also when no instance of a service is in them: what is
/// absent raises no alarm.
const STATES: [InstanceState; 5] = [
    InstanceState::Starting,
    InstanceState::Ready,
    InstanceState::NotReady,
    InstanceState::Draining,
    InstanceState::Down,
];

/// Everyone the registry knows, and what those counted who were asked.
pub(crate) fn exposition(known: &[Instance], reports: &[Report]) -> Exposition {
    let mut exposition = Exposition::default();
    for ((service, state), count) in census(known) {
        let labels = Labels::default().with("service", service).with("state", &state_name(state));
        exposition.number(INSTANCES, labels, count);
    }
    for Report { instance, stats } in reports {
        let own = Labels::default().with("service", &instance.service).with("instance", &instance.instance_id);
        let up = own.clone().with("address", &instance.address);
        exposition.number(UP, up, u8::from(stats.is_some()));
        if let Some(stats) = stats {
            tell(&mut exposition, &own, stats);
        }
    }
    exposition
}

/// How many instances of each service are in each state.
fn census(known: &[Instance]) -> BTreeMap<(&str, InstanceState), u64> {
    let mut counts = BTreeMap::new();
    for instance in known {
        for state in STATES {
            counts.entry((instance.service.as_str(), state)).or_default();
        }
        *counts.entry((instance.service.as_str(), instance.state())).or_default() += 1;
    }
    counts
}

/// Tells what one process counted.
fn tell(exposition: &mut Exposition, own: &Labels, stats: &Stats) {
    if let Some(time) = &stats.start_time {
        let seconds = time.seconds as f64 + f64::from(time.nanos) / 1e9;
        exposition.number(START_TIME, own.clone(), seconds);
    }
    for call in &stats.inbound {
        tell_calls(exposition, &SERVER, own, call);
    }
    for call in &stats.outbound {
        let labels = tell_calls(exposition, &CLIENT, own, call);
        exposition.number(RETRIES, labels, call.retries);
    }
    for peer in &stats.peers {
        tell_peer(exposition, own, peer);
    }
    if let Some(Concurrency { limit, in_flight, refused }) = &stats.concurrency {
        exposition.number(LIMIT, own.clone(), limit);
        exposition.number(IN_FLIGHT, own.clone(), in_flight);
        exposition.number(REFUSED, own.clone(), refused);
    }
}

/// Tells of the calls of one method; answers by which labels it told.
fn tell_calls(exposition: &mut Exposition, to: &Direction, own: &Labels, call: &CallStats) -> Labels {
    let (service, method) = call.method.split_once('/').unwrap_or(("unknown", "unknown"));
    let labels = own.clone().with("grpc_type", kind_name(call.kind()));
    let labels = labels.with("grpc_service", service).with("grpc_method", method).with(to.peer, &call.peer);
    exposition.number(to.started, labels.clone(), call.started);
    for ended in &call.codes {
        exposition.number(to.handled, labels.clone().with("grpc_code", &code_name(&ended.code)), ended.count);
    }
    exposition.spans(to.handling, labels.clone(), &call.latency.clone().unwrap_or_default());
    exposition.number(to.in_flight, labels.clone(), call.in_flight);
    exposition.number(to.received, labels.clone(), call.received_bytes);
    exposition.number(to.sent, labels.clone(), call.sent_bytes);
    labels
}

fn tell_peer(exposition: &mut Exposition, own: &Labels, peer: &Peer) {
    let labels = own.clone().with("peer_service", &peer.service).with("peer_address", &peer.address);
    for (metric, holds) in [
        (PEER_CONNECTED, peer.connected),
        (PEER_SUSPECT, peer.suspect),
        (PEER_DRAINING, peer.draining),
        (PEER_EJECTED, peer.ejected),
    ] {
        exposition.number(metric, labels.clone(), u8::from(holds));
    }
    exposition.number(PEER_WEIGHT, labels.clone(), peer.weight);
    exposition.number(PEER_IN_FLIGHT, labels.clone(), peer.in_flight);
    // Of a peer that has not answered yet nothing is known, which is not zero.
    if let Some(latency) = peer.latency.as_ref().and_then(mesh::from_duration) {
        exposition.number(PEER_LATENCY, labels.clone(), latency.as_secs_f64());
    }
    exposition.number(PEER_SUCCEEDED, labels.clone(), peer.succeeded);
    exposition.number(PEER_FAILED, labels, peer.failed);
}

/// The state as a label: `INSTANCE_STATE_NOT_READY` is `not_ready`.
fn state_name(state: InstanceState) -> String {
    state.as_str_name().trim_start_matches("INSTANCE_STATE_").to_lowercase()
}

fn kind_name(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary => "unary",
        MethodKind::ClientStream => "client_stream",
        MethodKind::ServerStream => "server_stream",
        MethodKind::BidiStream => "bidi_stream",
        MethodKind::Unspecified => "unknown",
    }
}

/// The status as Go writes it: `DEADLINE_EXCEEDED` is `DeadlineExceeded`.
fn code_name(code: &str) -> String {
    match code {
        "OK" => "OK".into(),
        // Go spells it the American way.
        "CANCELLED" => "Canceled".into(),
        code => code.split('_').map(capitalised).collect(),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| format!("{first}{}", letters.as_str().to_lowercase()))
}

#[cfg(test)]
mod tests;
