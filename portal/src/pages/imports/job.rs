//! One import: as it goes while it does, or what came of it.

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use proto::products::{GetImportJobRequest, WatchImportJobRequest};
use tokio_util::sync::CancellationToken;

use crate::{
    backends::{
        Backends, endless,
        imports::{self, unanswered},
    },
    error::{Backend, Failure},
    form::Problem,
    frame::{Frame, Nav},
    job::Job,
    live::{self, Marker},
    pages::{
        self,
        imports::{
            import_id,
            outcome::{Asked, Outcome},
            progress,
        },
    },
    visit::Visit,
};

#[derive(Template)]
#[template(path = "import.html")]
pub(super) struct Page {
    pub(super) frame: Frame,
    pub(super) outcome: Outcome,
}

#[derive(Template)]
#[template(path = "import-live.html")]
struct Growing {
    frame: Frame,
    job: Job,
    marker: Marker,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    State(stop): State<CancellationToken>,
    visit: Visit,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    let request = GetImportJobRequest { id: import_id(&id)?, request_id: String::new() };
    let job = backends.import_job(request).await?;
    if job.rests() {
        return rested(&backends, &visit, (job, &asked), None).await;
    }
    let request = WatchImportJobRequest { id: job.id };
    let call = endless();
    let watch = call.clone().scope(backends.watch_import(request)).await.map_err(|status| unanswered(&status))?;
    let own = frame(&visit, &job).with_command(backends.command(Backend::Catalogue, imports::WATCH, &request));
    let asked = (asked, own.may_edit());
    let growing = Growing { frame: own, marker: Marker, job: job.clone() };
    let watching = progress::Watching::new((backends, call, stop), watch, asked, job);
    Ok(live::page(&growing, watching.pieces()))
}

/// The page of an import that rests, with why a step was not taken.
pub(super) async fn rested(
    backends: &Backends,
    visit: &Visit,
    (job, asked): (Job, &Asked),
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let request = GetImportJobRequest { id: job.id, request_id: String::new() };
    let mut frame = frame(visit, &job).with_command(backends.command(Backend::Catalogue, imports::GET, &request));
    let outcome = Outcome { problem, ..Outcome::of(backends, job, asked).await? };
    frame.commands.extend(outcome.commands.iter().cloned());
    let status = outcome.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    Ok(pages::page(status, &Page { frame, outcome }))
}

fn frame(visit: &Visit, job: &Job) -> Frame {
    Frame::new(visit, Nav::Import, format!("Import {}", job.id))
}
