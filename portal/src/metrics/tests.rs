//! What stands in the text, for processes that counted this and that.

use std::time::Duration;

use proto::mesh::{Bucket, CodeCount, Histogram};

use super::*;

fn span(micros: u64) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(Duration::from_micros(micros)).ok()
}

fn instance(service: &str, state: InstanceState) -> Instance {
    Instance {
        service: service.into(),
        instance_id: "3f2a".into(),
        address: "127.0.0.1:5053".into(),
        state: state.into(),
        ..Instance::default()
    }
}

fn code(code: &str, count: u64) -> CodeCount {
    CodeCount { code: code.into(), count }
}

fn calls(peer: &str, method: &str) -> CallStats {
    CallStats {
        peer: peer.into(),
        method: method.into(),
        kind: MethodKind::Unary.into(),
        started: 4,
        in_flight: 1,
        codes: vec![code("OK", 2), code("NOT_FOUND", 1)],
        latency: Some(Histogram {
            buckets: vec![Bucket { upper_bound: span(215), count: 2 }, Bucket { upper_bound: None, count: 1 }],
            count: 3,
            sum: span(20_000_500),
        }),
        received_bytes: 90,
        sent_bytes: 70,
        retries: 5,
    }
}

fn text(known: &[Instance], stats: Option<Stats>) -> String {
    let reports: Vec<_> =
        known.iter().map(|instance| Report { instance: instance.clone(), stats: stats.clone() }).collect();
    exposition(known, &reports).to_string()
}

/// The lines that begin so.
fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn all_that_a_process_counted_stands_in_the_text() {
    let peer = Peer {
        service: "logsvc".into(),
        address: "127.0.0.1:5052".into(),
        connected: true,
        ejected: true,
        weight: 100,
        in_flight: 2,
        latency: span(1500),
        succeeded: 8,
        failed: 3,
        ..Peer::default()
    };
    let stats = Stats {
        start_time: Some(prost_types::Timestamp { seconds: 1_795_442_709, nanos: 250_000_000 }),
        inbound: vec![calls("portal", "rundoo.products.v1.ProductService/GetProduct")],
        outbound: vec![calls("logsvc", "rundoo.logs.v1.LogService/Ship")],
        peers: vec![peer],
        concurrency: Some(Concurrency { limit: 20, in_flight: 1, refused: 7 }),
        ..Stats::default()
    };

    let text = text(&[instance("productsvc", InstanceState::Ready)], Some(stats));

    // Compared as a whole, and printed once when it differs.
    assert!(text == include_str!("golden.txt"), "{text}");
}

#[test]
fn who_did_not_answer_is_not_up_and_has_nothing_else() {
    let text = text(&[instance("productsvc", InstanceState::Ready)], None);

    assert_eq!(
        lines(&text, "rundoo_up{"),
        [r#"rundoo_up{service="productsvc",instance="3f2a",address="127.0.0.1:5053"} 0"#]
    );
    assert!(lines(&text, "grpc").is_empty() && lines(&text, "process").is_empty(), "{text}");
}

#[test]
fn states_without_an_instance_are_told_for_each_service() {
    let [ready, down] = [InstanceState::Ready, InstanceState::Down];
    let known = [instance("portal", ready), instance("portal", ready), instance("logsvc", down)];

    let text = exposition(&known, &[]).to_string();

    assert_eq!(lines(&text, "rundoo_instances{").len(), 2 * STATES.len());
    for (service, state, count) in
        [("portal", "ready", 2), ("portal", "not_ready", 0), ("logsvc", "down", 1), ("logsvc", "ready", 0)]
    {
        let line = format!("rundoo_instances{{service=\"{service}\",state=\"{state}\"}} {count}\n");
        assert!(text.contains(&line), "{line}: {text}");
    }
}

#[test]
fn a_method_that_does_not_exist_is_unknown() {
    let inbound = vec![CallStats { kind: MethodKind::Unspecified.into(), ..calls("portal", "unknown") }];
    let text = text(&[instance("productsvc", InstanceState::Ready)], Some(Stats { inbound, ..Stats::default() }));

    let labels = r#"grpc_type="unknown",grpc_service="unknown",grpc_method="unknown",caller="portal"} 4"#;
    assert!(lines(&text, "grpc_server_started_total{")[0].ends_with(labels), "{text}");
}

#[test]
fn codes_are_spelled_as_go_does() {
    for (code, name) in [
        ("OK", "OK"),
        ("CANCELLED", "Canceled"),
        ("UNKNOWN", "Unknown"),
        ("DEADLINE_EXCEEDED", "DeadlineExceeded"),
        ("DATA_LOSS", "DataLoss"),
        ("_", ""),
    ] {
        assert_eq!(code_name(code), name);
    }
}

#[test]
fn what_others_registered_cannot_end_a_line() {
    let mut evil = instance("evil", InstanceState::Ready);
    evil.instance_id = "a\"} 1\nrundoo_up{service=\"portal".into();

    let text = text(&[evil], Some(Stats { inbound: vec![calls("x\n", "y\"/z\\")], ..Stats::default() }));

    assert_eq!(lines(&text, "rundoo_up{").len(), 1, "{text}");
    assert!(text.contains(r#"grpc_service="y\"",grpc_method="z\\",caller="x\n"} 4"#), "{text}");
}
