//! A product's own page.

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    backends::Backends,
    error::Failure,
    frame::{Frame, Nav, Notice},
    pages,
    product::Product,
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "product.html")]
struct Show {
    frame: Frame,
    product: Product,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let product = backends.get(pages::product_id(&id)?).await?;
    Ok(page(&visit, product, asked?.notice))
}

/// The page of a product; 410 with what it was, when it is deleted.
pub(crate) fn page(visit: &Visit, product: Product, notice: Option<Notice>) -> Response {
    let status = if product.deleted.is_some() { StatusCode::GONE } else { StatusCode::OK };
    let frame = Frame::new(visit, Nav::Elsewhere, product.name.clone()).with_notice(notice);
    pages::page(status, &Show { frame, product })
}
