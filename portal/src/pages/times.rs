//! In which zone times are shown: a page cannot know where its reader is, so the reader says it.

use askama::Template;
use axum::{
    Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use http::StatusCode;
use proto::products::ListProductsRequest;
use serde::Deserialize;

use crate::{
    backends::{Backends, products::LIST},
    cookie::Cookie,
    error::{Backend, Failure},
    form::Problem,
    frame::{Frame, Nav, Notice},
    pages,
    time::{Moment, Zone},
    visit::Visit,
};

/// How long a browser remembers it: a year.
const REMEMBERED_SECONDS: u32 = 365 * 86_400;

#[derive(Deserialize)]
pub(crate) struct Asked {
    notice: Option<Notice>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chosen {
    zone: String,
}

#[derive(Template)]
#[template(path = "times.html")]
struct Times {
    frame: Frame,
    zone: String,
    zones: Vec<String>,
    now: Moment,
    problem: Option<Problem>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let frame = frame(&backends, &visit, "Times").with_notice(asked?.notice);
    let zone = frame.zone().to_owned();
    Ok(page(frame, zone, None))
}

pub(crate) async fn choose(
    State(backends): State<Backends>,
    visit: Visit,
    form: Result<Form<Chosen>, FormRejection>,
) -> Result<Response, Failure> {
    let Form(Chosen { zone }) = form?;
    let Some(chosen) = Zone::named(zone.trim()) else {
        let text = "There is no zone of this name. Choose one of those that the field offers, such as Europe/Berlin.";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "There is a problem", text);
        return Ok(page(frame(&backends, &visit, "Error: Times"), zone, Some(problem)));
    };
    let mut response = pages::see_other("/times?notice=zone");
    let (name, value) = Cookie::Zone.set(chosen.name(), Some(REMEMBERED_SECONDS));
    response.headers_mut().append(name, value);
    Ok(response)
}

fn frame(backends: &Backends, visit: &Visit, title: &str) -> Frame {
    // Services answer times in UTC, whatever is shown here.
    let request = ListProductsRequest { page_size: 1, order_by: "update_time desc".into(), ..Default::default() };
    Frame::new(visit, Nav::Elsewhere, title).with_command(backends.command(Backend::Catalogue, LIST, &request))
}

fn page(frame: Frame, zone: String, problem: Option<Problem>) -> Response {
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    pages::page(status, &Times { frame, zone, zones: Zone::names(), now: Moment::now(), problem })
}
