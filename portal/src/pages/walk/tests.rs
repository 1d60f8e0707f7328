//! How one request's records stand in order, grouped by who said them.

use proto::logs::Level;

use super::*;
use crate::record::tests::{HOSTILE, hostile, stored};

fn page(kind: Kind, id: &str, found: Found) -> Page {
    let frame = Frame::new(&Visit::test("test"), Nav::Logs, kind.title(id));
    Page::new(frame, (kind, id.to_owned()), &Zone::UTC, found)
}

fn walked() -> Page {
    // Newest first, as they are found.
    let records = vec![
        stored("portal", Level::Info, 20),
        stored("productsvc", Level::Error, 5),
        stored("productsvc", Level::Info, 4),
        stored("portal", Level::Info, 0),
    ];
    page(Kind::Request, "req-1", Found { records, ..Found::default() })
}

#[test]
fn a_request_walks_from_service_to_service_in_the_order_of_time() {
    let walk = walked();

    let legs: Vec<_> = walk.legs.iter().map(|leg| (leg.service.as_str(), leg.rows.len())).collect();
    assert_eq!(legs, [("portal", 1), ("productsvc", 2), ("portal", 1)]);
    let after: Vec<_> = walk.legs.iter().flat_map(|leg| leg.rows.iter().map(|row| row.after.as_str())).collect();
    assert_eq!(after, ["+0.0 ms", "+4.0 ms", "+5.0 ms", "+20.0 ms"]);
    assert_eq!(walk.words, "4 records of 2 services within 20.0 ms");
}

#[test]
fn a_lane_has_each_of_its_records_where_it_is_in_time() {
    let walk = walked();

    let lanes: Vec<_> = walk.lanes.iter().map(|lane| (lane.service.as_str(), lane.ticks.as_slice())).collect();
    assert_eq!(lanes[0], ("portal", &[(0, "plain"), (1000, "plain")][..]));
    assert_eq!(lanes[1], ("productsvc", &[(200, "plain"), (250, "bad")][..]));
}

#[test]
fn a_request_leads_to_its_trace_and_a_trace_to_its_requests() {
    let html = walked().render().unwrap();
    assert!(html.contains("href=\"/logs/traces/4bf92f3577b34da6a3ce929d0e0e4736\""), "{html}");
    assert!(!html.contains(">request<"), "it is this very request: {html}");

    let records = vec![stored("portal", Level::Info, 0)];
    let trace = page(Kind::Trace, "4bf9", Found { records, ..Found::default() }).render().unwrap();
    assert!(trace.contains("href=\"/logs/requests/req-1\"") && trace.contains("Trace <span"), "{trace}");
}

#[test]
fn an_unknown_id_is_met_kindly() {
    let mut unknown = page(Kind::Request, HOSTILE, Found::default());
    unknown.tell = Some("grpcurl".into());
    let html = unknown.render().unwrap();

    assert!(html.contains("Nothing is in the log about this request."), "{html}");
    assert!(html.contains("takes up to a second to arrive") && html.contains("<code>grpcurl</code>"), "{html}");
    assert!(!html.contains("<script") && !html.contains("\"onfocus"), "{html}");
}

#[test]
fn a_long_walk_leads_to_what_came_before() {
    let found = Found { records: vec![hostile()], next: HOSTILE.into(), is_cut: false };
    let html = page(Kind::Request, HOSTILE, found).render().unwrap();

    assert!(html.contains("These are the last records of it.") && html.contains("?page=%3Cscript"), "{html}");
    assert!(!html.contains("<script") && !html.contains("\"onfocus"), "{html}");
}

#[test]
fn records_of_one_moment_or_of_none_are_shown_too() {
    let mut timeless = stored("portal", Level::Info, 0);
    timeless.record.as_mut().unwrap().time = None;
    let alone = page(Kind::Request, "r", Found { records: vec![timeless], ..Found::default() });
    assert_eq!((alone.words.as_str(), alone.lanes.len(), alone.legs.len()), ("1 record", 0, 1));
    assert!(alone.render().is_ok());
}
