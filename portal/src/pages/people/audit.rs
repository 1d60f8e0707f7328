//! Who changed what: what the portal said of each login and each change, as the log has it.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use proto::logs::{FieldMatch, Filter, Order, QueryRequest, Rows, StoredRecord};
use serde::Deserialize;

use crate::{
    backends::{Backends, logs::QUERY},
    door::{Door, audit},
    error::{Backend, Failure},
    frame::{Frame, Nav},
    list::{self, Wanted},
    pages,
    query::{link, records_link},
    time::Moment,
    visit::Visit,
};

/// Rows on one page.
const ROWS: i32 = 50;

/// How far back one looks: key, words, seconds.
const SINCE: [(&str, &str, u64); 4] =
    [("1d", "1 day", 86_400), ("7d", "7 days", 7 * 86_400), ("30d", "30 days", 30 * 86_400), ("all", "All", u64::MAX)];

/// What is looked at when nobody says.
const USUAL: &str = "7d";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    actor: String,
    since: String,
    page: String,
    /// The end of what is looked at; the pages of one list share it.
    until: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    actor: String,
    since: Vec<(&'static str, &'static str, bool)>,
    rows: Vec<Row>,
    is_first: bool,
    is_cut: bool,
    is_guarded: bool,
    next: Option<String>,
    first: String,
}

/// One thing that somebody did.
struct Row {
    time: Option<Moment>,
    actor: String,
    what: String,
    is_refused: bool,
    address: String,
    product: Option<String>,
    /// All that was logged during the request.
    request: Option<String>,
}

pub(super) async fn show(
    State(backends): State<Backends>,
    State(door): State<Door>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(Asked { actor, since, page, until }) = asked?;
    let actor = actor.trim().to_lowercase();
    let (key, _, seconds) = SINCE.into_iter().find(|(key, ..)| *key == since).unwrap_or(SINCE[1]);
    let until = crate::time::Zone::UTC.read(&until).unwrap_or_else(Moment::now);
    let request = QueryRequest {
        filter: Some(filter(&actor, until, seconds)),
        order: Order::NewestFirst.into(),
        page_size: ROWS,
        page_token: page.clone(),
    };
    let found = backends.records(request.clone()).await?;
    let at = |page: &str| {
        let until = if page.is_empty() { String::new() } else { until.address() };
        let since = if key == USUAL { "" } else { key };
        link("/audit", &[("actor", &actor), ("since", since), ("until", &until), ("page", page)])
    };
    let rows = Rows { records: found.records.into_iter().filter(is_ours).collect() };
    if let Some(list) = wanted.answer(list::RECORDS, &rows, list::next(&found.next, at)) {
        return Ok(list);
    }
    let title = if page.is_empty() { "Audit" } else { "Audit, continued" };
    let page = Page {
        frame: Frame::new(&visit, Nav::Audit, title).with_command(backends.command(Backend::Logs, QUERY, &request)),
        since: SINCE.iter().map(|(known, words, _)| (*known, *words, *known == key)).collect(),
        rows: rows.records.into_iter().map(Row::read).collect(),
        is_first: page.is_empty(),
        is_cut: found.is_cut,
        is_guarded: door.is_guarded(),
        next: (!found.next.is_empty()).then(|| at(&found.next)),
        first: at(""),
        actor,
    };
    Ok(pages::page(StatusCode::OK, &page))
}

/// What the log is asked for: what the portals said of this.
fn filter(actor: &str, until: Moment, seconds: u64) -> Filter {
    let is = |name: &str, value: &str| FieldMatch { name: name.into(), value: value.into() };
    let mut fields = vec![is(audit::FIELD, "true")];
    if !actor.is_empty() {
        fields.push(is("actor", actor));
    }
    Filter {
        services: vec!["portal".into()],
        fields,
        from_time: until.before(Duration::from_secs(seconds)).map(Moment::message),
        until_time: Some(until.message()),
        ..Filter::default()
    }
}

/// Whether a portal shipped it for the audit. What came over OTLP, which anybody may send, is of no incarnation.
fn is_ours(stored: &StoredRecord) -> bool {
    stored.incarnation != 0 && stored.record.as_ref().is_some_and(|record| record.target == audit::TARGET)
}

impl Row {
    fn read(stored: StoredRecord) -> Row {
        let record = stored.record.unwrap_or_default();
        let field = |name: &str| record.fields.iter().find(|field| field.name == name).map(|field| field.value.clone());
        let actor = field("actor").unwrap_or_default();
        let what = record.message.strip_prefix(&format!("{actor} ")).unwrap_or(&record.message).to_owned();
        Row {
            time: Moment::read(record.time),
            what,
            is_refused: record.level() == proto::logs::Level::Warn,
            address: field("client.address").unwrap_or_default(),
            product: field("product.id").filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())),
            request: (!record.request_id.is_empty()).then(|| records_link(&record.request_id)),
            actor,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::logs::{Field, LogRecord};

    use super::*;

    fn record(target: &str) -> StoredRecord {
        let field = |name: &str, value: &str| Field { name: name.into(), value: value.into(), ..Field::default() };
        let fields = vec![field("actor", "ann"), field("product.id", "7"), field("client.address", "10.0.0.9")];
        let record = LogRecord {
            target: target.into(),
            message: "ann changed product 7".into(),
            request_id: "abc".into(),
            fields,
            ..LogRecord::default()
        };
        StoredRecord { record: Some(record), incarnation: 1, ..StoredRecord::default() }
    }

    #[test]
    fn a_row_says_who_did_what() {
        let row = Row::read(record(audit::TARGET));
        assert_eq!((row.actor.as_str(), row.what.as_str()), ("ann", "changed product 7"));
        assert_eq!((row.address.as_str(), row.product.as_deref()), ("10.0.0.9", Some("7")));
        assert_eq!(row.request.as_deref(), Some("/logs/requests/abc"));
    }

    #[test]
    fn what_only_looks_like_it_is_left_out() {
        assert!(is_ours(&record(audit::TARGET)) && !is_ours(&record("portal::visit")));
        assert!(!is_ours(&StoredRecord { incarnation: 0, ..record(audit::TARGET) }), "it came over OTLP");
    }
}
