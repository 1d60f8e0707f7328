//! Home: the products, of a category or all, in the order that was asked for.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use futures_util::future::try_join;
use http::StatusCode;
use proto::products::{Category, ListProductsRequest};
use serde::Deserialize;

use crate::{
    backends::{
        Backends,
        products::{LIST, PRODUCTS_PER_PAGE},
    },
    changes::Changes,
    error::{Backend, Failure},
    frame::{Frame, Nav, Notice},
    list::{self, Wanted},
    number::grouped,
    pages,
    product::{self, Listing, Pager},
    query::{Column, Sort, category_filter, link},
    refusal::Refused,
    visit::Visit,
};

/// What an address may ask of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    page: String,
    sort: String,
    category: String,
    /// Whether the boxes of all products are ticked.
    tick: String,
    notice: Option<Notice>,
    /// The product that was just deleted.
    undo: Option<i64>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    listing: Listing,
    pager: Pager,
    caption: String,
    category: String,
    /// The levels of the category, with their links.
    path: Vec<(String, String)>,
    choices: Vec<Choice>,
    heads: [Head; 4],
    /// The `sort` of the address, for the form that changes the category.
    sort: String,
    ticked: bool,
    links: Links,
}

/// Where else this list leads.
struct Links {
    add: String,
    /// The same with all boxes ticked, or none.
    tick: String,
    csv: String,
    json: String,
}

/// A category that can be chosen.
struct Choice {
    path: String,
    title: String,
    is_chosen: bool,
}

/// The head of a column.
struct Head {
    label: &'static str,
    link: String,
    sorted: Option<&'static str>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    State(changes): State<Changes>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    let request = asked.request();
    let command = backends.command(Backend::Catalogue, LIST, &request);
    let page = async { backends.list(request).await.map_err(Refused::into_failure) };
    if wanted != Wanted::Page {
        let page = page.await?;
        let next = list::next(&page.next_page_token, |token| asked.link(token));
        return wanted.answer(list::PRODUCTS, &page, next).ok_or(Failure::NoSuchPage);
    }
    let (page, choices) = try_join(page, choices(&backends, &changes, asked.category.trim())).await?;
    let title = match (asked.category.trim(), asked.page.is_empty()) {
        ("", true) => "Products".to_owned(),
        ("", false) => "Products, continued".to_owned(),
        (category, true) => category.to_owned(),
        (category, false) => format!("{category}, continued"),
    };
    let frame = Frame::new(&visit, Nav::Home, title).with_notice(asked.notice).with_undo(asked.undo);
    let home = Home::new(frame.with_command(command), asked, page.into(), choices);
    Ok(pages::page(StatusCode::OK, &home))
}

/// The categories to choose from: those at the top, or those beside and below the chosen one.
async fn choices(backends: &Backends, changes: &Changes, chosen: &str) -> Result<Vec<Choice>, Failure> {
    let top = backends.top_categories(changes).await?;
    let mut choices: Vec<Choice> = top.iter().map(|category| Choice::new(category, chosen)).collect();
    if !chosen.is_empty() {
        let below = backends.categories_below(chosen).await?;
        let root = chosen.split('/').next().unwrap_or_default();
        let at = choices.iter().position(|choice| choice.path == root).map_or(choices.len(), |at| at + 1);
        let mut inner = Vec::new();
        if chosen != root {
            inner.push(Choice { path: chosen.to_owned(), title: chosen.to_owned(), is_chosen: true });
        }
        inner.extend(below.iter().map(|category| Choice::new(category, chosen)));
        choices.splice(at..at, inner);
        if !choices.iter().any(|choice| choice.is_chosen) {
            choices.insert(0, Choice { path: chosen.to_owned(), title: chosen.to_owned(), is_chosen: true });
        }
    }
    Ok(choices)
}

impl Choice {
    fn new(category: &Category, chosen: &str) -> Choice {
        let count = grouped(category.total_product_count.unsigned_abs());
        Choice {
            title: format!("{} ({count})", category.path),
            is_chosen: category.path == chosen,
            path: category.path.clone(),
        }
    }
}

impl Asked {
    fn request(&self) -> ListProductsRequest {
        ListProductsRequest {
            page_size: PRODUCTS_PER_PAGE,
            page_token: self.page.clone(),
            order_by: Sort::read(&self.sort).key(),
            filter: category_filter(self.category.trim()),
            show_deleted: false,
        }
    }
}

impl Asked {
    /// Where another page of the same list is.
    fn link(&self, token: &str) -> String {
        link("/", &[("category", self.category.trim()), ("sort", &Sort::read(&self.sort).key()), ("page", token)])
    }
}

impl Home {
    fn new(frame: Frame, asked: Asked, listing: Listing, choices: Vec<Choice>) -> Home {
        let (sort, category) = (Sort::read(&asked.sort), asked.category.trim().to_owned());
        let key = sort.key();
        let own = |sort: &str, page: &str, tick: &str| {
            link("/", &[("category", &category), ("sort", sort), ("page", page), ("tick", tick)])
        };
        let export = |path: &str| link(path, &[("category", &category), ("sort", &key)]);
        let ticked = asked.tick == "all";
        let heads = Column::SHOWN.map(|column| Head {
            label: column.label(),
            link: own(&sort.by(column).key(), "", ""),
            sorted: sort.of(column),
        });
        let path = product::levels(&category).into_iter().map(|(name, link)| (name.to_owned(), link)).collect();
        Home {
            frame,
            pager: listing.pager(|token| own(&key, token, "")),
            caption: format!("Products, {}", sort.words()),
            path: if category.is_empty() { Vec::new() } else { path },
            choices,
            heads,
            ticked,
            links: Links {
                add: link("/products/new", &[("category", &category)]),
                tick: own(&key, &asked.page, if ticked { "" } else { "all" }),
                csv: export("/export.csv"),
                json: export("/export.json"),
            },
            sort: key,
            category,
            listing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::Product;

    const HOSTILE: &str = "<script>alert(1)</script> '; DROP TABLE products; --\" onfocus=x";

    fn shown(products: Vec<Product>, older: &str) -> String {
        let total = products.len().to_string();
        let listing = Listing { products, newer: String::new(), older: older.into(), total };
        let frame = Frame::new(&Visit::test(HOSTILE), Nav::Home, HOSTILE);
        let choices = vec![Choice { path: HOSTILE.into(), title: HOSTILE.into(), is_chosen: false }];
        Home::new(frame, Asked::default(), listing, choices).render().unwrap()
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
            purge: None,
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
        assert!(html.contains("/?category=%3Cscript%3E"));
    }

    #[test]
    fn an_empty_catalogue_says_how_to_begin() {
        let html = shown(Vec::new(), "");

        assert!(html.contains("No products yet."));
        assert!(html.contains("action=\"/sample\"") && html.contains("href=\"/imports\""));
        assert!(!html.contains("<table"));
    }

    #[test]
    fn one_page_needs_no_pager() {
        assert!(!shown(vec![hostile()], "").contains("rel=\"next\""));
        assert!(shown(vec![hostile()], "t").contains("rel=\"next\" href=\"/?page=t\""));
    }

    #[test]
    fn what_is_chosen_stays_in_every_link() {
        let listing = Listing { products: vec![hostile()], newer: "n".into(), older: "o".into(), total: "1".into() };
        let asked = Asked { category: "Paint/Interior".into(), sort: "name desc".into(), ..Asked::default() };
        let home = Home::new(Frame::new(&Visit::test("test"), Nav::Home, "x"), asked, listing, Vec::new());

        assert_eq!(home.pager.older.as_deref(), Some("/?category=Paint%2FInterior&sort=name%20desc&page=o"));
        assert_eq!(home.links.csv, "/export.csv?category=Paint%2FInterior&sort=name%20desc");
        assert_eq!(home.heads[0].link, "/?category=Paint%2FInterior&sort=name");
        assert_eq!((home.heads[0].sorted, home.heads[1].sorted), (Some("descending"), None));
        assert_eq!(home.path[1], ("Interior".to_owned(), "/?category=Paint%2FInterior".to_owned()));
    }
}
