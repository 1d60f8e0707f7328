//! Home: the products, newest first.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    backends::Backends,
    error::Failure,
    frame::{Frame, Nav, Notice},
    pages,
    product::{Listing, Pager},
    query::link,
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    listing: Listing,
    pager: Pager,
    caption: &'static str,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    let title = if asked.page.is_empty() { "Products" } else { "Products, continued" };
    let listing = backends.list(asked.page).await?;
    let home = Home {
        frame: Frame::new(&visit, Nav::Home, title).with_notice(asked.notice),
        pager: listing.pager(|token| link("/", &[("page", token)])),
        listing,
        caption: "Products, newest first",
    };
    Ok(pages::page(StatusCode::OK, &home))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::Product;

    const HOSTILE: &str = "<script>alert(1)</script> '; DROP TABLE products; --\" onfocus=x";

    fn shown(products: Vec<Product>, older: &str) -> String {
        let listing = Listing { products, newer: String::new(), older: older.into() };
        let home = Home {
            frame: Frame::new(&Visit::test(HOSTILE), Nav::Home, HOSTILE),
            pager: listing.pager(|token| link("/", &[("page", token)])),
            listing,
            caption: "Products, newest first",
        };
        home.render().unwrap()
    }

    fn hostile() -> Product {
        Product {
            id: 1,
            name: HOSTILE.into(),
            category: HOSTILE.into(),
            sku: HOSTILE.into(),
            version: 1,
            etag: HOSTILE.into(),
            created: None,
            updated: None,
            deleted: None,
        }
    }

    #[test]
    fn stored_text_is_shown_as_text() {
        let html = shown(vec![hostile()], HOSTILE);

        assert!(!html.contains("<script"));
        assert!(!html.contains("\" onfocus"));
        assert!(
            html.contains("&#60;script&#62;alert(1)&#60;/script&#62; &#39;; DROP TABLE products; --&#34; onfocus=x")
        );
        assert!(html.contains("/search?q=%3Cscript%3E"));
    }

    #[test]
    fn an_empty_catalogue_says_how_to_begin() {
        let html = shown(Vec::new(), "");

        assert!(html.contains("No products yet."));
        assert!(html.contains("<code>just seed</code>"));
        assert!(!html.contains("<table"));
    }

    #[test]
    fn one_page_needs_no_pager() {
        assert!(!shown(vec![hostile()], "").contains("rel=\"next\""));
        assert!(shown(vec![hostile()], "t").contains("rel=\"next\" href=\"/?page=t\""));
    }
}
