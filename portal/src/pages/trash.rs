//! The trash: deleted products, the last first, while they can be had back.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use proto::products::ListProductsRequest;
use serde::Deserialize;

use crate::{
    backends::{
        Backends,
        products::{LIST, PRODUCTS_PER_PAGE},
    },
    error::{Backend, Failure},
    form::fresh,
    frame::{Frame, Nav, Notice},
    list::{self, Wanted},
    pages,
    product::{Listing, Pager, Product},
    query::link,
    refusal::Refused,
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "trash.html")]
struct Trash {
    frame: Frame,
    /// Each with the request id that brings it back once.
    products: Vec<(Product, String)>,
    total: String,
    pager: Pager,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    let title = if asked.page.is_empty() { "Trash" } else { "Trash, continued" };
    let request = ListProductsRequest {
        page_size: PRODUCTS_PER_PAGE,
        page_token: asked.page,
        order_by: "update_time desc".into(),
        filter: "deleted = true".into(),
        show_deleted: true,
    };
    let command = backends.command(Backend::Catalogue, LIST, &request);
    let answer = backends.list(request).await.map_err(Refused::into_failure)?;
    let own = |token: &str| link("/trash", &[("page", token)]);
    if let Some(list) = wanted.answer(list::PRODUCTS, &answer, list::next(&answer.next_page_token, own)) {
        return Ok(list);
    }
    let listing = Listing::from(answer);
    let trash = Trash {
        frame: Frame::behind(&visit, Nav::Home, title).with_notice(asked.notice).with_command(command),
        pager: listing.pager(own),
        total: listing.total,
        products: listing.products.into_iter().map(|product| (product, fresh())).collect(),
    };
    Ok(pages::page(StatusCode::OK, &trash))
}
