//! Renaming a category: what it would do, and then doing it while the page tells how far it is.

use askama::Template;
use axum::{
    Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use futures_util::{Stream, StreamExt as _, stream};
use http::StatusCode;
use proto::products::{RenameCategoryRequest, RenameCategoryResponse};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::warn;

use crate::{
    backends::{Backends, categories::RENAME},
    error::{Backend, Failure, sentence},
    form::{Problem, fresh},
    frame::{Frame, Nav},
    grpcurl::Command,
    kept::Seen,
    live::{self, Marker},
    number::grouped,
    pages::{self, Site},
    query::category_link,
    refusal::Refused,
    visit::Visit,
};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    from: String,
    to: String,
    request_id: String,
}

#[derive(Template)]
#[template(path = "rename.html")]
struct Rename {
    frame: Frame,
    from: String,
    to: String,
    request_id: String,
    preview: Option<Preview>,
    problem: Option<Problem>,
}

/// What it would do.
struct Preview {
    total: String,
    is_one: bool,
    /// Whether the new category is there already.
    merges: bool,
    /// Some of the products: name, category now, category then.
    sample: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "renaming.html")]
struct Renaming {
    frame: Frame,
    from: String,
    to: String,
    marker: Marker,
}

/// A piece of the page that tells how far it is.
#[derive(Template)]
#[template(path = "renamed.html")]
struct Piece {
    word: Word,
}

/// What a piece says.
enum Word {
    Step { renamed: String, total: String, value: i64, most: i64 },
    Done { renamed: String, link: String },
    BrokenOff { why: String, from: String, to: String, request_id: String },
}

pub(crate) async fn ask(
    State(backends): State<Backends>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    if asked.from.trim().is_empty() {
        return Err(Failure::NoSuchCategory);
    }
    let command = backends.command(Backend::Catalogue, RENAME, &asked.request(true));
    if asked.to.is_empty() {
        return Ok(page(&visit, command, asked, Ok(None)));
    }
    match preview(&backends, &asked).await {
        Ok(preview) => Ok(page(&visit, command, asked, Ok(Some(preview)))),
        Err(refused) => Ok(page(&visit, command, asked, Err(problem(refused)?))),
    }
}

pub(crate) async fn apply(
    State(site): State<Site>,
    visit: Visit,
    form: Result<Form<Asked>, FormRejection>,
) -> Result<Response, Failure> {
    let Form(mut asked) = form?;
    if uuid::Uuid::parse_str(&asked.request_id).is_err() {
        asked.request_id = fresh();
    }
    let command = site.backends.command(Backend::Catalogue, RENAME, &asked.request(true));
    let answers = match site.backends.rename(asked.request(false)).await {
        Ok(answers) => answers,
        Err(refused) => return Ok(page(&visit, command, asked, Err(problem(refused)?))),
    };
    let frame = Frame::new(&visit, Nav::Categories, format!("Renaming {}", asked.from)).with_command(command);
    let renaming = Renaming { frame, from: asked.from.clone(), to: asked.to.clone(), marker: Marker };
    let mut response = live::page(&renaming, pieces(answers, asked, site.stop));
    Seen::Unknown.tell(&mut response);
    Ok(response)
}

/// The pieces of the page, to the end of the renaming or of the portal.
fn pieces(
    answers: Streaming<RenameCategoryResponse>,
    asked: Asked,
    stop: CancellationToken,
) -> impl Stream<Item = String> + Send + 'static {
    let steps = stream::unfold(Some((answers, asked, stop)), async |state| {
        let (mut answers, asked, stop) = state?;
        let answer = tokio::select! {
            answer = answers.message() => answer,
            () = stop.cancelled() => Err(Status::unavailable("the portal stops")),
        };
        Some(match answer {
            Ok(Some(answer)) if answer.done => (Piece::done(&answer, &asked), None),
            Ok(Some(answer)) => (Piece::step(&answer), Some((answers, asked, stop))),
            Ok(None) => (Piece::broken_off(&Status::unavailable("the answer ended early"), asked), None),
            Err(status) => (Piece::broken_off(&status, asked), None),
        })
    });
    steps.map(|piece| live::piece(&piece))
}

impl Piece {
    fn step(answer: &RenameCategoryResponse) -> Piece {
        let (renamed, total) = (grouped(answer.renamed.unsigned_abs()), grouped(answer.total.unsigned_abs()));
        Piece { word: Word::Step { renamed, total, value: answer.renamed, most: answer.total.max(1) } }
    }

    fn done(answer: &RenameCategoryResponse, asked: &Asked) -> Piece {
        let (renamed, link) = (grouped(answer.renamed.unsigned_abs()), category_link(asked.to.trim()));
        Piece { word: Word::Done { renamed, link } }
    }

    fn broken_off(status: &Status, asked: Asked) -> Piece {
        warn!("a renaming broke off: {status}");
        let why = Failure::of(Backend::Catalogue, status).headline();
        let Asked { from, to, request_id } = asked;
        Piece { word: Word::BrokenOff { why, from, to, request_id } }
    }
}

async fn preview(backends: &Backends, asked: &Asked) -> Result<Preview, Refused> {
    let answer = backends.rename(asked.request(true)).await?.message().await?;
    let answer = answer.ok_or_else(|| Refused::Failed(Failure::Internal("a renaming was not answered".into())))?;
    let sample = answer.sample.into_iter().zip(answer.sample_categories);
    Ok(Preview {
        total: grouped(answer.total.unsigned_abs()),
        is_one: answer.total == 1,
        merges: answer.merges,
        sample: sample.map(|(product, then)| (product.name, product.category, then)).collect(),
    })
}

/// What is wrong with the form; what is not with the form is a failure.
fn problem(refused: Refused) -> Result<Problem, Failure> {
    match refused {
        Refused::Fields(fields) => {
            let why: Vec<String> = fields.into_iter().map(|(field, why)| complaint(&field, &why)).collect();
            Ok(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "There is a problem", why.join(" ")))
        }
        Refused::Reused => Ok(Problem::stale("This form was sent before, with another name. Send it once more.")),
        refused => match refused.into_failure() {
            failure if failure.passes() => Ok(Problem::unanswered(&failure)),
            failure => Err(failure),
        },
    }
}

fn complaint(field: &str, why: &str) -> String {
    let what = if field == "to" { "The new name" } else { "The category" };
    sentence(&format!("{what} {why}"))
}

fn page(visit: &Visit, command: Option<Command>, asked: Asked, outcome: Result<Option<Preview>, Problem>) -> Response {
    let (preview, problem) = match outcome {
        Ok(preview) => (preview, None),
        Err(problem) => (None, Some(problem)),
    };
    let prefix = if problem.is_some() { "Error: " } else { "" };
    let frame = Frame::new(visit, Nav::Categories, format!("{prefix}Rename {}", asked.from)).with_command(command);
    let request_id = if asked.request_id.is_empty() { fresh() } else { asked.request_id };
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    pages::page(status, &Rename { frame, from: asked.from, to: asked.to, request_id, preview, problem })
}

impl Asked {
    fn request(&self, validate_only: bool) -> RenameCategoryRequest {
        RenameCategoryRequest {
            from: self.from.trim().to_owned(),
            to: if self.to.is_empty() { format!("{} (renamed)", self.from.trim()) } else { self.to.trim().to_owned() },
            request_id: if validate_only { String::new() } else { self.request_id.clone() },
            validate_only,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_says_how_far_it_is_as_text() {
        let answer = RenameCategoryResponse { total: 1500, renamed: 500, ..Default::default() };
        let html = Piece::step(&answer).render().unwrap();
        assert!(html.contains("500") && html.contains("1,500") && html.contains("max=\"1500\""), "{html}");

        let asked = Asked { from: "<b>".into(), to: "\"x".into(), request_id: "id".into() };
        let html = Piece::done(&answer, &asked).render().unwrap();
        assert!(html.contains("href=\"/?category=%22x\""), "{html}");
        let html = Piece::broken_off(&Status::unavailable("gone"), asked).render().unwrap();
        assert!(html.contains("value=\"&#60;b&#62;\"") && html.contains("value=\"&#34;x\""), "{html}");
    }

    #[test]
    fn what_is_shown_for_pasting_changes_nothing() {
        let asked = Asked { from: "Paint".into(), request_id: "x".into(), ..Asked::default() };
        assert!(asked.request(true).validate_only && asked.request(true).request_id.is_empty());
    }
}
