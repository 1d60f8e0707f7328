//! Logs: what every process logged, found by words, level, service and time, with a picture of when.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use futures_util::future::join3;
use http::StatusCode;
use proto::logs::{GetStatisticsRequest, QueryRequest, Rows};

use crate::{
    backends::{
        Backends,
        logs::{Found, QUERY, STATISTICS, Tally, Unfound},
    },
    error::{Backend, Failure},
    frame::{Frame, Nav},
    histogram::{Histogram, WIDTH},
    list::{self, Wanted},
    pages,
    record::Row,
    selection::{SINCE, Selection, Since, Window},
    selector::Selector,
    speakers::Speakers,
    time::{Moment, Zone},
    visit::Visit,
};

/// Rows on one page.
const ROWS: i32 = 100;

/// What an address says, in its order.
pub(crate) type Asked = Result<Query<Vec<(String, String)>>, QueryRejection>;

#[derive(Template)]
#[template(path = "logs.html")]
struct Page {
    frame: Frame,
    selector: Selector,
    /// Where the same is followed live.
    tail: String,
    as_of: Moment,
    histogram: Option<Histogram>,
    list: Option<List>,
    speakers: Option<Speakers>,
}

/// A page of records.
struct List {
    rows: Vec<Row>,
    caption: String,
    /// Where the list goes on.
    next: Option<String>,
    /// Where it begins, unless this is there.
    first: Option<String>,
    /// Whether the search ran out of time.
    is_cut: bool,
    /// Links that look further, when nothing is here: (words, link).
    wider: Vec<(&'static str, String)>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    wanted: Wanted,
    asked: Asked,
) -> Result<Response, Failure> {
    let Query(parts) = asked?;
    let selection = Selection::read(parts, Moment::now())?;
    let window = selection.window(&visit.zone);
    let filter = window.clone().and_then(|window| selection.filter_within(window));
    let (window, filter) = match (window, filter) {
        (Ok(window), Ok(filter)) => (window, filter),
        (Err(error), _) | (_, Err(error)) if wanted != Wanted::Page => return Err(Failure::BadRequest(error)),
        (Err(error), _) | (_, Err(error)) => return refuse(&backends, &visit, &selection, error).await,
    };
    let request = QueryRequest {
        filter: Some(filter.clone()),
        order: selection.order().into(),
        page_size: ROWS,
        page_token: selection.page.clone(),
    };
    if wanted != Wanted::Page {
        let found = backends.records(request).await.map_err(Unfound::into_failure)?;
        let next = list::next(&found.next, |token| selection.page_link(token));
        return wanted.answer(list::RECORDS, &Rows { records: found.records }, next).ok_or(Failure::NoSuchPage);
    }
    let tally = async {
        // The picture is of all pages, and stands on the first.
        if selection.page.is_empty() { backends.tally(filter).await } else { None }
    };
    let records = backends.records(request.clone());
    let (found, tally, statistics) = join3(records, tally, backends.statistics()).await;
    let found = match found {
        Ok(found) => found,
        Err(Unfound::Asked(error)) => return refuse(&backends, &visit, &selection, error).await,
        Err(Unfound::Failed(failure)) => return Err(failure),
    };
    let what = if selection.text.is_empty() { "Logs".to_owned() } else { format!("“{}” – Logs", selection.text) };
    let title = if selection.page.is_empty() { what } else { format!("{what}, continued") };
    let frame = Frame::new(&visit, Nav::Logs, title)
        .with_command(backends.command(Backend::Logs, QUERY, &request))
        .with_command(backends.command(Backend::Logs, STATISTICS, &GetStatisticsRequest {}));
    let speakers = statistics.ok().map(|statistics| Speakers::new(statistics, Moment::now()));
    let answer = Answer { selection: &selection, window, zone: &visit.zone, speakers };
    Ok(pages::page(StatusCode::OK, &answer.page(frame, found, tally)))
}

/// Shows the form again, with what was typed and why it cannot be looked for.
async fn refuse(backends: &Backends, visit: &Visit, selection: &Selection, error: String) -> Result<Response, Failure> {
    let statistics = backends.statistics().await?;
    let speakers = Speakers::new(statistics, Moment::now());
    let frame = Frame::new(visit, Nav::Logs, "Error: Logs").with_command(backends.command(
        Backend::Logs,
        STATISTICS,
        &GetStatisticsRequest {},
    ));
    let page = Page {
        frame,
        selector: Selector::new(selection, &visit.zone, &speakers.services()).wrong(error),
        tail: selection.tail_link(None),
        as_of: selection.as_of,
        histogram: None,
        list: None,
        speakers: Some(speakers),
    };
    Ok(pages::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

/// What a selection leads to.
struct Answer<'a> {
    selection: &'a Selection,
    window: Window,
    zone: &'a Zone,
    speakers: Option<Speakers>,
}

impl Answer<'_> {
    fn page(self, frame: Frame, found: Found, tally: Option<Tally>) -> Page {
        let Answer { selection, window, zone, speakers } = self;
        let services = speakers.as_ref().map(Speakers::services).unwrap_or_default();
        Page {
            frame,
            selector: Selector::new(selection, zone, &services),
            tail: selection.tail_link(None),
            as_of: selection.as_of,
            histogram: tally.and_then(|tally| Histogram::new(&tally, selection, window, zone)),
            list: Some(List::new(selection, zone, found)),
            speakers,
        }
    }
}

impl List {
    fn new(selection: &Selection, zone: &Zone, found: Found) -> List {
        let Found { records, next, is_cut } = found;
        let mut rows: Vec<Row> = records.into_iter().map(Row::new).collect();
        divide(&mut rows, zone, &mut String::new());
        let order = if selection.oldest_first { "oldest first" } else { "newest first" };
        List {
            wider: if rows.is_empty() && !is_cut { wider(selection) } else { Vec::new() },
            rows,
            caption: format!("Records of {}, {order}", selection.span()),
            next: (!next.is_empty()).then(|| selection.page_link(&next)),
            first: (!selection.page.is_empty()).then(|| selection.link()),
            is_cut,
        }
    }
}

/// Says before which rows another day begins than the present one.
pub(crate) fn divide(rows: &mut [Row], zone: &Zone, present: &mut String) {
    for row in rows {
        let day = row.time.map(|time| zone.date(time)).unwrap_or_default();
        if day != *present && !day.is_empty() {
            row.day = Some(day.clone());
            *present = day;
        }
    }
}

/// Where more may be found.
fn wider(selection: &Selection) -> Vec<(&'static str, String)> {
    let mut wider = Vec::new();
    let (key, since) = selection.since();
    if !matches!(since, Since::Ever) {
        let next = SINCE.iter().skip_while(|(known, ..)| *known != key).nth(1).map_or("all", |(next, ..)| *next);
        if !matches!(next, "all" | "between") {
            wider.push(("Look further back", selection.link_since(next)));
        }
        wider.push(("Look at all times", selection.link_since("all")));
    }
    if !selection.is_unfiltered() {
        wider.push(("Show everything of the last hour", Selection::usual(selection.as_of).link()));
    }
    wider
}

#[cfg(test)]
mod tests;
