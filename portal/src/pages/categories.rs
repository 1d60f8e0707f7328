//! The tree of categories with its counts.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use proto::products::{Category, ListCategoriesRequest};
use serde::Deserialize;

use crate::{
    backends::{Backends, categories::CATEGORIES},
    error::{Backend, Failure},
    frame::{Frame, Nav},
    list::{self, Wanted},
    number::grouped,
    pages,
    product::{Pager, levels},
    query::{category_link, link},
    visit::Visit,
};

/// Categories on one page: what a person still scrolls through. A larger tree is opened level by level.
const WHOLE_TREE: i32 = 500;

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    below: String,
    #[serde(default)]
    page: String,
}

#[derive(Template)]
#[template(path = "categories.html")]
struct Tree {
    frame: Frame,
    below: String,
    /// The levels of the category below which this is, with the pages of their trees.
    path: Vec<(String, String)>,
    rows: Vec<Row>,
    /// Whether rows stand for what is below them, too.
    is_whole: bool,
    pager: Pager,
}

/// One category as a row shows it.
struct Row {
    title: String,
    /// Levels above it on this page, 9 at most.
    depth: usize,
    total: String,
    own: String,
    products: String,
    rename: String,
    /// Where what is below it is, when it is not on this page.
    open: Option<String>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(Asked { below, page }) = asked?;
    let below = below.trim().to_owned();
    let request = |recursive| ListCategoriesRequest {
        parent: below.clone(),
        recursive,
        page_size: WHOLE_TREE,
        page_token: page.clone(),
    };
    // A tree that does not fit one page is shown level by level; its other pages are of one level.
    let mut asking = request(page.is_empty());
    let mut answer = backends.categories(asking.clone()).await?;
    if asking.recursive && !answer.next_page_token.is_empty() {
        asking = request(false);
        answer = backends.categories(asking.clone()).await?;
    }
    let own = |token: &str| link("/categories", &[("below", &below), ("page", token)]);
    if let Some(list) = wanted.answer(list::CATEGORIES, &answer, list::next(&answer.next_page_token, own)) {
        return Ok(list);
    }
    let command = backends.command(Backend::Catalogue, CATEGORIES, &asking);
    let title = match (below.as_str(), page.is_empty()) {
        ("", true) => "Categories".to_owned(),
        ("", false) => "Categories, continued".to_owned(),
        (below, _) => format!("Categories below {below}"),
    };
    let path = levels(&below).into_iter().scan(String::new(), |path, (name, _)| {
        path.push_str(if path.is_empty() { "" } else { "/" });
        path.push_str(name);
        Some((name.to_owned(), link("/categories", &[("below", path)])))
    });
    let tree = Tree {
        frame: Frame::new(&visit, Nav::Categories, title).with_command(command),
        path: if below.is_empty() { Vec::new() } else { path.collect() },
        rows: answer.categories.iter().map(|category| Row::new(category, &below, asking.recursive)).collect(),
        is_whole: asking.recursive,
        pager: Pager::new("", &answer.next_page_token, own),
        below,
    };
    Ok(pages::page(StatusCode::OK, &tree))
}

impl Row {
    fn new(category: &Category, below: &str, is_whole: bool) -> Row {
        let inside = category.path.get(below.len()..).unwrap_or_default().trim_start_matches('/');
        Row {
            title: category.title.clone(),
            depth: inside.matches('/').count().min(9),
            total: grouped(category.total_product_count.unsigned_abs()),
            own: grouped(category.product_count.unsigned_abs()),
            products: category_link(&category.path),
            rename: link("/categories/rename", &[("from", &category.path)]),
            open: (!is_whole && category.has_children).then(|| link("/categories", &[("below", &category.path)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(path: &str) -> Category {
        let title = path.rsplit('/').next().unwrap_or_default().to_owned();
        Category { path: path.into(), title, product_count: 2, total_product_count: 1234, has_children: true }
    }

    #[test]
    fn a_row_stands_as_deep_as_it_is_on_this_page() {
        let row = Row::new(&category("Paint/Interior/Matt"), "", true);
        assert_eq!((row.title.as_str(), row.depth, row.total.as_str()), ("Matt", 2, "1,234"));
        assert_eq!(row.open, None, "what is below it stands below it");
        assert_eq!(Row::new(&category("Paint/Interior/Matt"), "Paint", true).depth, 1);
    }

    #[test]
    fn a_large_tree_is_opened_level_by_level() {
        let row = Row::new(&category("Paint & Co"), "", false);
        assert_eq!(row.open.as_deref(), Some("/categories?below=Paint%20%26%20Co"));
        assert_eq!(row.rename, "/categories/rename?from=Paint%20%26%20Co");
    }
}
