//! Deleting a product: asked first, then done.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;
use proto::products::DeleteProductRequest;

use crate::{
    backends::{Backends, products::DELETE},
    error::{Backend, Failure},
    form::{Posted, Problem, fresh},
    frame::{Frame, Nav},
    pages::{self, Site, show as product_page},
    product::Product,
    query::link,
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
        return Ok(product_page::page(&backends, &visit, product));
    }
    Ok(ask(&backends, &visit, product, None))
}

pub(crate) async fn confirm(
    State(site): State<Site>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let posted = Posted::read(form)?;
    let backends = &site.backends;
    match backends.delete(id, &posted).await {
        Ok(product) => {
            let to = link("/", &[("notice", "deleted"), ("undo", &id.to_string())]);
            Ok(pages::see_changed(&to, &site.changes, &product).await)
        }
        Err(Refused::Failed(failure)) if failure.passes() => Ok(ask_again(backends, &visit, (id, posted), &failure)),
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
            Ok(ask(backends, &visit, product, Some(problem)))
        }
        Err(Refused::Failed(failure)) => Err(failure),
        Err(Refused::Fields(_) | Refused::SkuTaken(_) | Refused::NotDeleted) => {
            Err(Failure::BadRequest("The form does not say which version of the product is meant.".into()))
        }
    }
}

fn ask(backends: &Backends, visit: &Visit, product: Product, problem: Option<Problem>) -> Response {
    page(Delete {
        frame: frame(backends, visit, (product.id, &product.etag), problem.is_some()),
        id: product.id,
        name: product.name,
        category: product.category,
        sku: product.sku,
        etag: product.etag,
        request_id: fresh(),
        problem,
    })
}

fn ask_again(backends: &Backends, visit: &Visit, (id, posted): (i64, Posted), failure: &Failure) -> Response {
    page(Delete {
        frame: frame(backends, visit, (id, &posted.etag), true),
        id,
        name: posted.name,
        category: posted.category,
        sku: posted.sku,
        etag: posted.etag,
        request_id: posted.request_id,
        problem: Some(Problem::unanswered(failure)),
    })
}

fn frame(backends: &Backends, visit: &Visit, (id, etag): (i64, &str), has_problem: bool) -> Frame {
    let prefix = if has_problem { "Error: " } else { "" };
    // To be checked only: whoever pastes it to see what it does should not lose a product.
    let request = DeleteProductRequest { id, etag: etag.to_owned(), validate_only: true, ..Default::default() };
    let command = backends.command(Backend::Catalogue, DELETE, &request);
    Frame::behind(visit, Nav::Home, format!("{prefix}Delete product {id}")).with_command(command)
}

#[expect(clippy::needless_pass_by_value, reason = "a page is shown once")]
fn page(delete: Delete) -> Response {
    let status = delete.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    pages::page(status, &delete)
}
