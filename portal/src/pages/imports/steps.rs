//! What can be done with an import: apply it, stop it, take it back. Each is done once, however often it is sent.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;
use mesh::Refusal;
use proto::products::{CancelImportRequest, CommitImportRequest, GetImportJobRequest, UndoImportRequest};
use serde::Deserialize;
use tonic::{Code, Status};

use crate::{
    backends::{
        Backends,
        imports::{self, unanswered},
    },
    error::{Backend, Failure},
    form::{Problem, fresh},
    frame::{Frame, Nav},
    kept::Seen,
    pages::{
        self,
        imports::{import_id, job, outcome::Asked},
    },
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Posted {
    #[serde(default)]
    request_id: String,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Commit,
    Cancel,
    Undo,
}

/// The question again, when the catalogue did not answer.
#[derive(Template)]
#[template(path = "import-again.html")]
struct Again {
    frame: Frame,
    id: i64,
    path: &'static str,
    label: &'static str,
    request_id: String,
    problem: Problem,
}

pub(crate) async fn commit(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    take(Step::Commit, &backends, &visit, (&id, form)).await
}

pub(crate) async fn cancel(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    take(Step::Cancel, &backends, &visit, (&id, form)).await
}

pub(crate) async fn undo(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    take(Step::Undo, &backends, &visit, (&id, form)).await
}

async fn take(
    step: Step,
    backends: &Backends,
    visit: &Visit,
    (id, form): (&str, Result<Form<Posted>, FormRejection>),
) -> Result<Response, Failure> {
    let id = import_id(id)?;
    let Form(Posted { mut request_id }) = form?;
    if uuid::Uuid::parse_str(&request_id).is_err() {
        request_id = fresh();
    }
    let Err(status) = step.ask(backends, id, &request_id).await else {
        let mut response = pages::see_other(&format!("/imports/{id}"));
        Seen::Unknown.tell(&mut response);
        return Ok(response);
    };
    let reason = Refusal::reason(&status).unwrap_or_default();
    match (status.code(), reason.as_str()) {
        (Code::FailedPrecondition, "CHANGES_FORGOTTEN") => {
            let job = backends.import_job(GetImportJobRequest { id, request_id: String::new() }).await?;
            let text = "An import can be taken back for 30 days. What it did is in the history of each product.";
            let problem = Problem::new(StatusCode::CONFLICT, "It is too long ago to be taken back", text);
            job::rested(backends, visit, (job, &Asked::default()), Some(problem)).await
        }
        // Someone was faster, or it was sent before: the page shows how the import is now.
        (Code::FailedPrecondition, _) | (Code::InvalidArgument, "REQUEST_ID_REUSED") => {
            Ok(pages::see_other(&format!("/imports/{id}")))
        }
        _ => match unanswered(&status) {
            failure if failure.passes() => Ok(step.again(backends, visit, (id, request_id), &failure)),
            failure => Err(failure),
        },
    }
}

impl Step {
    async fn ask(self, backends: &Backends, id: i64, request_id: &str) -> Result<(), Status> {
        let request_id = request_id.to_owned();
        match self {
            Step::Commit => backends.commit_import(CommitImportRequest { id, request_id }).await,
            Step::Cancel => backends.cancel_import(CancelImportRequest { id }).await,
            Step::Undo => backends.undo_import(UndoImportRequest { id, request_id }).await,
        }
    }

    fn again(self, backends: &Backends, visit: &Visit, (id, request_id): (i64, String), failure: &Failure) -> Response {
        let (path, label) = match self {
            Step::Commit => ("commit", "Apply it"),
            Step::Cancel => ("cancel", "Stop it"),
            Step::Undo => ("undo", "Take it back"),
        };
        let text = format!("{} Send it again in a moment. However often you send it, it is done once.", failure.text());
        let problem = Problem::new(failure.status(), failure.headline(), text);
        // How the import is, and not the step itself: whoever pastes it to see what it does should change nothing.
        let request = GetImportJobRequest { id, request_id: String::new() };
        let command = backends.command(Backend::Catalogue, imports::GET, &request);
        let frame = Frame::new(visit, Nav::Import, format!("Error: Import {id}")).with_command(command);
        pages::page(problem.status, &Again { frame, id, path, label, request_id, problem })
    }
}
