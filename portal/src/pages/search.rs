//! Searching products.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    backends::Backends,
    error::{Failure, sentence},
    frame::{Frame, Nav},
    pages,
    product::{Listing, Pager},
    query::{Field, Search},
    refusal::Refused,
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    /// Absent until something was searched for.
    q: Option<String>,
    #[serde(default)]
    field: String,
    #[serde(default)]
    page: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    search: Search,
    fields: [Field; 4],
    found: Option<Found>,
    /// What is wrong with the query.
    error: Option<String>,
}

struct Found {
    listing: Listing,
    pager: Pager,
    caption: String,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    let text = asked.q.as_deref().unwrap_or_default().trim();
    let search = Search { text: text.to_owned(), field: Field::read(&asked.field) };
    if asked.q.is_none() {
        return Ok(page(&visit, search, Ok(None)));
    }
    if search.text.is_empty() {
        return Ok(page(&visit, search, Err("Type what you are looking for.".into())));
    }
    match backends.search(&search, asked.page).await {
        Ok(listing) => {
            let found = Found {
                pager: listing.pager(|token| search.link(token)),
                listing,
                caption: format!("Products found for “{}”, newest first", search.text),
            };
            Ok(page(&visit, search, Ok(Some(found))))
        }
        Err(Refused::Fields(fields)) => {
            let reason = fields.into_iter().map(|(_, reason)| reason).next().unwrap_or_default();
            Ok(page(&visit, search, Err(sentence(&format!("The text to look for {reason}")))))
        }
        Err(Refused::Failed(failure)) => Err(failure),
        Err(refused) => Err(Failure::Internal(format!("the product catalogue refused a search: {refused:?}"))),
    }
}

fn page(visit: &Visit, search: Search, outcome: Result<Option<Found>, String>) -> Response {
    let (found, error) = match outcome {
        Ok(found) => (found, None),
        Err(error) => (None, Some(error)),
    };
    let title = match (&found, &error) {
        (_, Some(_)) => "Error: Search products".to_owned(),
        (Some(_), None) => format!("“{}” – Search products", search.text),
        (None, None) => "Search products".to_owned(),
    };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let frame = Frame::new(visit, Nav::Search, title);
    pages::page(status, &Page { frame, search, fields: Field::ALL, found, error })
}
