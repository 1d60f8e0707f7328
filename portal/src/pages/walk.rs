//! One request's walk through all services: everything that was logged during it, or during its trace.

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::PathRejection},
    response::Response,
};
use http::StatusCode;
use proto::logs::{Filter, Order, QueryRequest, RequestLevelsRequest, Rows, StoredRecord};

use crate::{
    backends::{
        Backends,
        logs::{Found, QUERY, REQUEST_LEVELS},
    },
    error::{Backend, Failure},
    frame::{Frame, Nav},
    level,
    list::{self, Wanted},
    number::count,
    pages::{
        self,
        logs::{Asked, divide},
    },
    query::{link, records_link, trace_link},
    record::Row,
    selection::Selection,
    time::{Moment, Zone, span},
    visit::Visit,
};

/// Records that one page has; a walk with more is an import, or a loop.
const RECORDS: i32 = 1000;

/// Ids of other walks that are named.
const OTHERS: usize = 12;

/// The levels at which every page, and every call between services, is logged.
const EVERY_CALL: &str = "info,portal=debug,mesh=debug";

/// The width of a lane, in its own units.
const LANE: i64 = 1000;

#[derive(Template)]
#[template(path = "walk.html")]
struct Page {
    frame: Frame,
    /// `Request` or `Trace`.
    kind: &'static str,
    id: String,
    own: String,
    /// The traces of a request, or the requests of a trace: (id, link).
    others: Vec<(String, String)>,
    lanes: Vec<Lane>,
    legs: Vec<Leg>,
    began: Option<Moment>,
    words: String,
    /// Where earlier records are, if there are more than fit a page.
    earlier: Option<String>,
    /// Whether the search ran out of time.
    is_cut: bool,
    /// Has all services log what goes well, too.
    tell: Option<String>,
}

/// All records of one service on one line of time.
struct Lane {
    service: String,
    count: String,
    /// Where each record is, and its tone.
    ticks: Vec<(i64, &'static str)>,
}

/// Records of one instance that follow each other.
struct Leg {
    service: String,
    instance: String,
    page: String,
    rows: Vec<Row>,
}

/// What a walk is found by.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Request,
    Trace,
}

pub(crate) async fn request(
    State(backends): State<Backends>,
    (visit, wanted): (Visit, Wanted),
    id: Result<Path<String>, PathRejection>,
    asked: Asked,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|_| Failure::NoSuchPage)?;
    show(&backends, (&visit, wanted), (Kind::Request, wanted.named(&id).to_owned()), asked).await
}

pub(crate) async fn trace(
    State(backends): State<Backends>,
    (visit, wanted): (Visit, Wanted),
    id: Result<Path<String>, PathRejection>,
    asked: Asked,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|_| Failure::NoSuchPage)?;
    show(&backends, (&visit, wanted), (Kind::Trace, wanted.named(&id).to_ascii_lowercase()), asked).await
}

async fn show(
    backends: &Backends,
    (visit, wanted): (&Visit, Wanted),
    (kind, id): (Kind, String),
    asked: Asked,
) -> Result<Response, Failure> {
    let Query(parts) = asked?;
    let page = Selection::read(parts, Moment::now())?.page;
    let filter = match kind {
        Kind::Request => Filter { request_id: id.clone(), ..Filter::default() },
        Kind::Trace => Filter { trace_id: id.clone(), ..Filter::default() },
    };
    // From the end: what people ask about is recent, and is found at once there.
    let order = Order::NewestFirst.into();
    let title = if page.is_empty() { kind.title(&id) } else { format!("{}, earlier", kind.title(&id)) };
    let request = QueryRequest { filter: Some(filter), order, page_size: RECORDS, page_token: page };
    let found = backends.records(request.clone()).await?;
    if wanted != Wanted::Page {
        let next = list::next(&found.next, |token| link(&kind.link(&id), &[("page", token)]));
        return wanted
            .answer(list::RECORDS, &Rows { records: in_order(found.records) }, next)
            .ok_or(Failure::NoSuchPage);
    }
    let frame = Frame::new(visit, Nav::Logs, title).with_command(backends.command(Backend::Logs, QUERY, &request));
    let mut tell = None;
    if found.records.is_empty() && !found.is_cut {
        let levels = RequestLevelsRequest { levels: EVERY_CALL.into(), ..Default::default() };
        tell = backends.command(Backend::Logs, REQUEST_LEVELS, &levels).map(|command| command.line);
    }
    Ok(pages::page(StatusCode::OK, &Page { tell, ..Page::new(frame, (kind, id), &visit.zone, found) }))
}

impl Kind {
    fn title(self, id: &str) -> String {
        format!("{} {id}", self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Request => "Request",
            Kind::Trace => "Trace",
        }
    }

    fn link(self, id: &str) -> String {
        match self {
            Kind::Request => records_link(id),
            Kind::Trace => trace_link(id),
        }
    }

    /// Leaves out of a record what all of a walk have in common.
    fn forget(self, row: &mut Row) {
        match self {
            Kind::Request => row.request = None,
            Kind::Trace => row.trace = None,
        }
    }

    /// The other walks that a record belongs to.
    fn other(self, row: &Row) -> Option<&(String, String)> {
        match self {
            Kind::Request => row.trace.as_ref(),
            Kind::Trace => row.request.as_ref(),
        }
    }
}

impl Page {
    fn new(frame: Frame, (kind, id): (Kind, String), zone: &Zone, found: Found) -> Page {
        let Found { records, next, is_cut } = found;
        let records = in_order(records);
        let lanes = lanes(&records);
        let (began, ended) = (records.first().and_then(said), records.iter().rev().find_map(said));
        let mut rows: Vec<Row> = records.into_iter().map(Row::new).collect();
        for row in &mut rows {
            let after = row.time.zip(began).map(|(time, began)| time.nanos().saturating_sub(began));
            row.after = after.map(|after| format!("+{}", nanos(after))).unwrap_or_default();
        }
        divide(&mut rows, zone, &mut String::new());
        let mut others: Vec<(String, String)> = rows.iter().filter_map(|row| kind.other(row)).cloned().collect();
        others.sort();
        others.dedup();
        others.truncate(OTHERS);
        let own = kind.link(&id);
        let took = began.zip(ended).map(|(began, ended)| ended.saturating_sub(began)).unwrap_or_default();
        rows.iter_mut().for_each(|row| kind.forget(row));
        Page {
            frame,
            kind: kind.name(),
            earlier: (!next.is_empty()).then(|| link(&own, &[("page", &next)])),
            own,
            id,
            others,
            words: summary(rows.len(), lanes.len(), took),
            legs: legs(rows),
            lanes,
            began: began.and_then(Moment::at),
            is_cut,
            tell: None,
        }
    }
}

fn summary(records: usize, services: usize, took: i64) -> String {
    let mut words = count(records as u64, "record");
    if services > 1 {
        words.push_str(&format!(" of {services} services"));
    }
    if took > 0 {
        words.push_str(&format!(" within {}", nanos(took)));
    }
    words
}

/// As they were said.
fn in_order(mut records: Vec<StoredRecord>) -> Vec<StoredRecord> {
    records.sort_by_key(|stored| (said(stored).unwrap_or(i64::MAX), stored.offset));
    records
}

/// When a record was said, in nanoseconds since 1970.
fn said(stored: &StoredRecord) -> Option<i64> {
    Moment::read(stored.record.as_ref()?.time).map(Moment::nanos)
}

fn nanos(nanos: i64) -> String {
    span(std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()))
}

/// Where the records of each service lie in time; services in the order in which they came in.
fn lanes(records: &[StoredRecord]) -> Vec<Lane> {
    let times = || records.iter().filter_map(said);
    let (Some(began), Some(ended)) = (times().min(), times().max()) else { return Vec::new() };
    let whole = ended.saturating_sub(began).max(1);
    let mut lanes: Vec<Lane> = Vec::new();
    for stored in records {
        let Some(time) = said(stored) else { continue };
        // In steps of whole units, by 128 bits: nanoseconds of years times units leave 64.
        let place = i128::from(time - began) * i128::from(LANE) / i128::from(whole);
        let place = i64::try_from(place).unwrap_or_default();
        let tone = level::look(stored.record.as_ref().map_or(0, |record| record.level)).1;
        let found = lanes.iter().position(|lane| lane.service == stored.service);
        let lane = found.unwrap_or_else(|| {
            lanes.push(Lane { service: stored.service.clone(), count: String::new(), ticks: Vec::new() });
            lanes.len() - 1
        });
        lanes[lane].ticks.push((place, tone));
    }
    for lane in &mut lanes {
        lane.count = count(lane.ticks.len() as u64, "record");
        lane.ticks.dedup();
    }
    lanes
}

/// Rows by who said them, for as long as it is the same.
fn legs(rows: Vec<Row>) -> Vec<Leg> {
    let mut legs: Vec<Leg> = Vec::new();
    for row in rows {
        match legs.last_mut() {
            Some(leg) if leg.service == row.service && leg.instance == row.instance => leg.rows.push(row),
            _ => legs.push(Leg {
                service: row.service.clone(),
                instance: row.instance.clone(),
                page: row.source.clone(),
                rows: vec![row],
            }),
        }
    }
    legs
}

#[cfg(test)]
mod tests;
