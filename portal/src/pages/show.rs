//! A product's own page, and bringing it back when it is deleted.

use askama::Template;
use axum::{
    Form,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use http::StatusCode;
use proto::products::GetProductRequest;
use serde::Deserialize;

use crate::{
    backends::{Backends, products::GET},
    error::{Backend, Failure},
    form::{Posted, Problem, fresh},
    frame::{Frame, Nav, Notice},
    pages::{self, Site},
    product::Product,
    query::{Field, Search, link},
    refusal::Refused,
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    notice: Option<Notice>,
    /// The SKU that led straight here.
    q: Option<String>,
}

#[derive(Template)]
#[template(path = "product.html")]
struct Show {
    frame: Frame,
    product: Product,
    /// For bringing it back.
    request_id: String,
    problem: Option<Problem>,
    /// What was typed to come here, and where else that is found.
    scanned: Option<(String, String)>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let product = backends.get(pages::product_id(&id)?).await?;
    let Query(asked) = asked?;
    let scanned = asked.q.map(|text| {
        let search = Search { text, field: Field::Any };
        (search.text.clone(), format!("{}&all=1", search.link("")))
    });
    let frame = frame(&backends, &visit, &product).with_notice(asked.notice);
    Ok(render(Show { frame, product, request_id: fresh(), problem: None, scanned }))
}

pub(crate) async fn undelete(
    State(site): State<Site>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let posted = Posted::read(form)?;
    let own = format!("/products/{id}");
    let problem = match site.backends.undelete(id, &posted).await {
        Ok(product) => {
            return Ok(pages::see_changed(&link(&own, &[("notice", "undeleted")]), &site.changes, &product).await);
        }
        // Somebody was faster; what was wanted is so.
        Err(Refused::NotDeleted) => return Ok(pages::see_other(&own)),
        Err(Refused::SkuTaken(holder)) => Problem::taken(holder),
        Err(Refused::Stale | Refused::Reused) => {
            Problem::stale("These are its values now. Bring it back if you still mean to.")
        }
        Err(refused) => match refused.into_failure() {
            failure if failure.passes() => Problem::unanswered(&failure),
            failure => return Err(failure),
        },
    };
    let product = site.backends.get(id).await?;
    let frame = frame(&site.backends, &visit, &product);
    Ok(render(Show { frame, product, request_id: posted.request_id, problem: Some(problem), scanned: None }))
}

/// The page of a product; 410 with what it was, when it is deleted.
pub(crate) fn page(backends: &Backends, visit: &Visit, product: Product) -> Response {
    let frame = frame(backends, visit, &product);
    render(Show { frame, product, request_id: fresh(), problem: None, scanned: None })
}

fn frame(backends: &Backends, visit: &Visit, product: &Product) -> Frame {
    let command =
        backends.command(Backend::Catalogue, GET, &GetProductRequest { id: product.id, ..Default::default() });
    Frame::behind(visit, Nav::Home, product.name.clone()).with_command(command)
}

#[expect(clippy::needless_pass_by_value, reason = "a page is shown once")]
fn render(show: Show) -> Response {
    let status = match &show.problem {
        Some(problem) => problem.status,
        None if show.product.deleted.is_some() => StatusCode::GONE,
        None => StatusCode::OK,
    };
    pages::page(status, &show)
}
