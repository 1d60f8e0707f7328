//! Deleting a product: asked first, then done.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;

use crate::{
    backends::Backends,
    error::Failure,
    form::{Posted, Problem, fresh},
    frame::{Frame, Nav},
    pages::{self, show as product_page},
    product::Product,
    refusal::Refused,
    visit::Visit,
};

/// The name and SKU travel in the form, so that the question can be asked again
/// while the catalogue is away.
#[derive(Template)]
#[template(path = "delete.html")]
struct Delete {
    frame: Frame,
    id: i64,
    name: String,
    category: String,
    sku: String,
    etag: String,
    request_id: String,
    problem: Option<Problem>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let product = backends.get(pages::product_id(&id)?).await?;
    if product.deleted.is_some() {
        return Ok(product_page::page(&visit, product, None));
    }
    Ok(ask(&visit, product, None))
}

pub(crate) async fn confirm(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let posted = Posted::read(form)?;
    match backends.delete(id, &posted).await {
        Ok(()) => Ok(pages::see_other("/?notice=deleted")),
        Err(Refused::Failed(failure)) if failure.passes() => Ok(ask_again(&visit, id, posted, &failure)),
        Err(Refused::Failed(Failure::NoSuchProduct) | Refused::Deleted) => {
            // Fails with NoSuchProduct itself when it never was.
            backends.get(id).await?;
            Ok(pages::see_other("/?notice=gone"))
        }
        Err(Refused::Stale | Refused::Reused) => {
            let product = backends.get(id).await?;
            if product.deleted.is_some() {
                return Ok(pages::see_other("/?notice=gone"));
            }
            let problem = Problem::stale("These are its values now. Delete it only if you still mean to.");
            Ok(ask(&visit, product, Some(problem)))
        }
        Err(Refused::Failed(failure)) => Err(failure),
        Err(Refused::Fields(_) | Refused::SkuTaken(_)) => {
            Err(Failure::BadRequest("The form does not say which version of the product is meant.".into()))
        }
    }
}

fn ask(visit: &Visit, product: Product, problem: Option<Problem>) -> Response {
    page(Delete {
        frame: frame(visit, product.id, problem.is_some()),
        id: product.id,
        name: product.name,
        category: product.category,
        sku: product.sku,
        etag: product.etag,
        request_id: fresh(),
        problem,
    })
}

fn ask_again(visit: &Visit, id: i64, posted: Posted, failure: &Failure) -> Response {
    page(Delete {
        frame: frame(visit, id, true),
        id,
        name: posted.name,
        category: posted.category,
        sku: posted.sku,
        etag: posted.etag,
        request_id: posted.request_id,
        problem: Some(Problem::unanswered(failure)),
    })
}

fn frame(visit: &Visit, id: i64, has_problem: bool) -> Frame {
    let prefix = if has_problem { "Error: " } else { "" };
    Frame::new(visit, Nav::Elsewhere, format!("{prefix}Delete product {id}"))
}

#[expect(clippy::needless_pass_by_value, reason = "a page is shown once")]
fn page(delete: Delete) -> Response {
    let status = delete.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    pages::page(status, &delete)
}
