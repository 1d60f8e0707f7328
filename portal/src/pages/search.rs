//! Searching products: the best first, with what was found marked in them.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::StatusCode;
use proto::products::{MatchTier, SearchProductsRequest, SearchProductsResponse};
use serde::Deserialize;

use crate::{
    backends::{
        Backends,
        products::{PRODUCTS_PER_PAGE, SEARCH},
    },
    error::{Backend, Failure, sentence},
    frame::{Frame, Nav},
    hit::Hit,
    list::{self, Wanted},
    pages,
    product::Pager,
    query::{Field, Search, link},
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
    /// Whether to list all that is found although the text is a SKU.
    #[serde(default)]
    all: String,
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
    hits: Vec<Hit>,
    pager: Pager,
    caption: String,
    /// Where to go on, when time was up before all was looked at.
    truncated: Option<String>,
    /// What may have been meant, and where it is found.
    suggestions: Vec<(String, String)>,
    /// The same everywhere, when only one text was looked in.
    anywhere: Option<String>,
    csv: String,
    json: String,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    let text = asked.q.as_deref().unwrap_or_default().trim();
    let search = Search { text: text.to_owned(), field: Field::read(&asked.field) };
    let request = SearchProductsRequest {
        query: if search.text.is_empty() && wanted == Wanted::Page { "hammer".to_owned() } else { search.text.clone() },
        field: search.field.number().into(),
        page_size: PRODUCTS_PER_PAGE,
        page_token: asked.page.clone(),
    };
    let command = backends.command(Backend::Catalogue, SEARCH, &request);
    let page = |search, outcome| page(Frame::new(&visit, Nav::Search, "").with_command(command), search, outcome);
    if wanted != Wanted::Page {
        let answer = backends.search(request).await.map_err(Refused::into_failure)?;
        let next = list::next(&answer.next_page_token, |token| search.link(token));
        return wanted.answer(list::RESULTS, &answer, next).ok_or(Failure::NoSuchPage);
    }
    if asked.q.is_none() {
        return Ok(page(search, Ok(None)));
    }
    if search.text.is_empty() {
        return Ok(page(search, Err("Type what you are looking for.".into())));
    }
    match backends.search(request).await {
        Ok(answer) => match straight(&search, &asked, &answer) {
            Some(product) => Ok(pages::see_other(&product)),
            None => Ok(page(search.clone(), Ok(Some(Found::new(&search, answer))))),
        },
        Err(Refused::Fields(fields)) => {
            let reason = fields.into_iter().map(|(_, reason)| reason).next().unwrap_or_default();
            Ok(page(search, Err(sentence(&format!("The text to look for {reason}")))))
        }
        Err(refused) => Err(refused.into_failure()),
    }
}

/// Where the product is whose SKU was typed or scanned.
fn straight(search: &Search, asked: &Asked, answer: &SearchProductsResponse) -> Option<String> {
    let is_first = asked.page.is_empty() && asked.all.is_empty();
    let is_wanted = is_first && matches!(search.field, Field::Any | Field::Sku);
    let best = answer.results.first().filter(|best| is_wanted && best.tier() == MatchTier::SkuExact)?;
    let id = best.product.as_ref()?.id;
    Some(link(&format!("/products/{id}"), &[("q", &search.text)]))
}

impl Found {
    fn new(search: &Search, answer: SearchProductsResponse) -> Found {
        let (newer, older) = (answer.previous_page_token, answer.next_page_token);
        let again = |text: String| {
            let link = Search { text: text.clone(), field: search.field }.link("");
            (text, link)
        };
        let export = |path: &str| link(path, &[("q", &search.text), ("field", search.field.key())]);
        let everywhere = Search { text: search.text.clone(), field: Field::Any };
        // The token of another page keeps a SKU from leading away from the list.
        let page =
            |token: &str| if token.is_empty() { format!("{}&all=1", search.link("")) } else { search.link(token) };
        Found {
            hits: answer.results.into_iter().filter_map(Hit::read).collect(),
            pager: Pager::new(&newer, &older, page),
            caption: format!("Products found for “{}”, the best first", search.text),
            truncated: (answer.truncated && !older.is_empty()).then(|| search.link(&older)),
            suggestions: answer.suggestions.into_iter().map(again).collect(),
            anywhere: (search.field != Field::Any).then(|| everywhere.link("")),
            csv: export("/export.csv"),
            json: export("/export.json"),
        }
    }
}

fn page(frame: Frame, search: Search, outcome: Result<Option<Found>, String>) -> Response {
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
    let frame = frame.titled(title);
    pages::page(status, &Page { frame, search, fields: Field::ALL, found, error })
}

#[cfg(test)]
mod tests {
    use proto::products::{Product, SearchResult};

    use super::*;

    fn answer(tier: MatchTier) -> SearchProductsResponse {
        let product = Some(Product { id: 7, name: "Hammer".into(), sku: "H-1".into(), ..Product::default() });
        let results = vec![SearchResult { product, tier: tier.into(), ranges: vec![] }];
        SearchProductsResponse { results, ..SearchProductsResponse::default() }
    }

    fn asked(page: &str, all: &str) -> Asked {
        Asked { q: Some("H-1".into()), field: String::new(), page: page.into(), all: all.into() }
    }

    fn search(field: Field) -> Search {
        Search { text: "H-1".into(), field }
    }

    #[test]
    fn an_exact_sku_leads_straight_to_its_product_and_back_to_the_list() {
        let exact = answer(MatchTier::SkuExact);
        let straight = |field, asked: &Asked, answer: &_| straight(&search(field), asked, answer);
        assert_eq!(straight(Field::Any, &asked("", ""), &exact).as_deref(), Some("/products/7?q=H-1"));
        assert!(straight(Field::Sku, &asked("", ""), &exact).is_some());
        assert_eq!(straight(Field::Name, &asked("", ""), &exact), None);
        assert_eq!(straight(Field::Any, &asked("", "1"), &exact), None);
        assert_eq!(straight(Field::Any, &asked("token", ""), &exact), None);
        assert_eq!(straight(Field::Any, &asked("", ""), &answer(MatchTier::SkuPrefix)), None);
    }

    #[test]
    fn what_was_not_looked_at_can_be_gone_on_with() {
        let more = SearchProductsResponse { truncated: true, next_page_token: "t".into(), ..answer(MatchTier::Words) };
        let found = Found::new(&search(Field::Name), more);
        assert_eq!(found.truncated.as_deref(), Some("/search?q=H-1&field=name&page=t"));
        assert_eq!(found.anywhere.as_deref(), Some("/search?q=H-1&field=any"));
    }

    #[test]
    fn suggestions_are_looked_for_in_the_same_text() {
        let none = SearchProductsResponse { suggestions: vec!["hammer & co".into()], ..Default::default() };
        let found = Found::new(&search(Field::Name), none);
        assert_eq!(found.suggestions[0].1, "/search?q=hammer%20%26%20co&field=name");
    }
}
