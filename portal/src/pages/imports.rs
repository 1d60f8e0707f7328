//! Imports: the form that takes a file, its rules, and the imports that there were.

pub(crate) mod job;
mod outcome;
mod progress;
pub(crate) mod refused;
pub(crate) mod steps;
pub(crate) mod upload;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use proto::products::{GetImportJobRequest, ImportMode, ListImportJobsRequest};
use serde::Deserialize;

use crate::{
    backends::{Backends, imports},
    csv,
    error::{Backend, Failure},
    form::{Problem, fresh},
    frame::{Frame, Nav},
    job::Job,
    list::{self, Wanted},
    pages,
    query::link,
    sheet::encoding::Choice,
    visit::Visit,
};

/// Imports on one page.
const JOBS_PER_PAGE: i32 = 20;

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
    /// An import that broke off, to be gone on with.
    again: Option<i64>,
}

/// What the form says but for the file.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) mode: ImportMode,
    /// Whether to look first, and change nothing.
    pub(crate) looks: bool,
    pub(crate) allows_damaged: bool,
    pub(crate) encoding: Choice,
    pub(crate) request_id: String,
    /// The import that it goes on with.
    pub(crate) again: Option<Job>,
    pub(crate) problem: Option<Problem>,
}

/// One way to deal with rows, as the form offers it.
struct Way {
    key: &'static str,
    label: &'static str,
    hint: &'static str,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "imports.html")]
struct Page {
    frame: Frame,
    form: Form,
    jobs: Vec<Job>,
    /// Whether the imports could not be listed.
    is_away: bool,
    older: Option<String>,
    is_first: bool,
}

/// The modes of an import, as the form names them.
const MODES: [(ImportMode, &str, &str, &str); 3] = [
    (ImportMode::Upsert, "upsert", "Add and change", "A row whose SKU a product has changes it; any other adds one."),
    (ImportMode::Create, "create", "Only add", "A row whose SKU a product has is refused."),
    (ImportMode::Update, "update", "Only change", "A row whose SKU no product has is refused."),
];

impl Form {
    /// An empty one, which looks first.
    pub(crate) fn blank() -> Form {
        Form {
            mode: ImportMode::Upsert,
            looks: true,
            allows_damaged: false,
            encoding: Choice::Noticed,
            request_id: fresh(),
            again: None,
            problem: None,
        }
    }

    /// Takes in a field that a browser sent.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match (name, value) {
            ("mode", key) => {
                let known = MODES.into_iter().find(|(_, known, ..)| *known == key);
                self.mode = known.ok_or_else(|| unknown(name))?.0;
            }
            ("first", "look") => self.looks = true,
            ("first", "import") => self.looks = false,
            ("damaged", "allow") => self.allows_damaged = true,
            ("encoding", "") => self.encoding = Choice::Noticed,
            ("encoding", "windows-1252") => self.encoding = Choice::Windows1252,
            ("request_id", id) if uuid::Uuid::parse_str(id).is_ok() => self.request_id = id.to_owned(),
            ("request_id", _) => {}
            (name, _) => return Err(unknown(name)),
        }
        Ok(())
    }

    /// The same as a form that is sent for the first time.
    pub(crate) fn renewed(self) -> Form {
        Form { request_id: fresh(), ..self }
    }

    fn ways(&self) -> [Way; 3] {
        MODES.map(|(mode, key, label, hint)| Way { key, label, hint, is_chosen: mode == self.mode })
    }

    fn is_western(&self) -> bool {
        self.encoding == Choice::Windows1252
    }
}

fn unknown(field: &str) -> Failure {
    Failure::BadRequest(format!("The form says something of “{field}” that the portal does not know."))
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    if wanted != Wanted::Page {
        let request = ListImportJobsRequest { page_size: JOBS_PER_PAGE, page_token: asked.page };
        let answer = backends.import_jobs(request).await?;
        let next = list::next(&answer.next_page_token, |token| link("/imports", &[("page", token)]));
        return wanted.answer(list::IMPORTS, &answer, next).ok_or(Failure::NoSuchPage);
    }
    let mut form = Form::blank();
    if let Some(id) = asked.again {
        let job = backends.import_job(GetImportJobRequest { id, request_id: String::new() }).await?;
        if job.rests() || job.request_id.is_empty() {
            return Ok(pages::see_other(&job.link()));
        }
        form =
            Form { mode: job.mode, looks: job.dry_run, request_id: job.request_id.clone(), again: Some(job), ..form };
    }
    let title = if asked.page.is_empty() { "Import products" } else { "Import products, older imports" };
    let frame = Frame::new(&visit, Nav::Import, title);
    page(&backends, frame, form, asked.page).await
}

/// The form again, with what is wrong.
async fn again(backends: &Backends, visit: &Visit, form: Form) -> Result<Response, Failure> {
    page(backends, Frame::new(visit, Nav::Import, "Error: Import products"), form, String::new()).await
}

async fn page(backends: &Backends, frame: Frame, form: Form, token: String) -> Result<Response, Failure> {
    let request = ListImportJobsRequest { page_size: JOBS_PER_PAGE, page_token: token };
    let (jobs, next, is_away) = match backends.import_jobs(request.clone()).await {
        Ok(page) => (page.jobs, page.next_page_token, false),
        // The form is worth showing without the list when it is what somebody sent.
        Err(failure) if failure.passes() && form.problem.is_some() => (Vec::new(), String::new(), true),
        Err(failure) => return Err(failure),
    };
    let page = Page {
        frame: frame.with_command(backends.command(Backend::Catalogue, imports::LIST, &request)),
        jobs: jobs.into_iter().map(Job::from).collect(),
        is_away,
        older: (!next.is_empty()).then(|| link("/imports", &[("page", &next)])),
        is_first: request.page_token.is_empty(),
        form,
    };
    let status = page.form.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    Ok(pages::page(status, &page))
}

/// A file to begin with.
pub(crate) async fn template() -> Response {
    let mut text = String::from(csv::BYTE_ORDER_MARK);
    csv::write_row(["name", "category", "sku"].map(Into::into), &mut text);
    csv::write_row(["Claw hammer 16 oz", "Tools/Hand", "HAM-16"].map(Into::into), &mut text);
    csv::write_row(["Interior paint, white, 1 gal", "Paint/Interior", "PNT-W-1"].map(Into::into), &mut text);
    csv_file("products-template.csv", text).into_response()
}

fn csv_file(name: &str, body: impl Into<axum::body::Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, body.into()).into_response()
}

/// Reads an import's id in an address; what is no id is no import.
fn import_id(text: &str) -> Result<i64, Failure> {
    text.parse().ok().filter(|id| *id > 0).ok_or(Failure::NoSuchImport)
}

#[cfg(test)]
mod tests;
