//! Work on the products that were ticked: asked first, then done to all of them or none.

use askama::Template;
use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    response::Response,
};
use http::StatusCode;
use proto::products::{
    BatchDeleteProductsRequest, BatchGetProductsRequest, BatchUpdateProductsRequest, DeleteProductRequest,
    UpdateProductRequest,
};

use crate::{
    backends::products::BATCH_GET,
    error::{Backend, Failure, sentence},
    form::{Problem, fresh},
    frame::{Frame, Nav},
    pages::{self, Site},
    product::Product,
    query::{category_link, link},
    refusal::Refused,
    visit::Visit,
};

/// Products that one form may name: a page of them, and some room.
const MOST: usize = 200;

/// What is done to those ticked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Move,
    Delete,
}

/// What an address or a form says.
#[derive(Debug)]
struct Ticked {
    deed: Deed,
    ids: Vec<i64>,
    /// The versions that were shown, in the order of the ids.
    etags: Vec<String>,
    category: String,
    request_id: String,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct Bulk {
    frame: Frame,
    moves: bool,
    products: Vec<Product>,
    category: String,
    request_id: String,
    offered: Vec<String>,
    problem: Option<Problem>,
}

pub(crate) async fn ask(
    State(site): State<Site>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let ticked = Ticked::read(query.unwrap_or_default().as_bytes())?;
    question(&site, &visit, ticked, None).await
}

pub(crate) async fn apply(State(site): State<Site>, visit: Visit, form: Bytes) -> Result<Response, Failure> {
    let ticked = Ticked::read(&form)?;
    let (outcome, to) = match ticked.deed {
        Deed::Move => {
            let to = link(&category_link(ticked.category.trim()), &[("notice", "recategorised")]);
            (site.backends.update_several(ticked.moving()).await, to)
        }
        Deed::Delete => (site.backends.delete_several(ticked.deleting()).await, "/trash?notice=several".to_owned()),
    };
    let problem = match outcome {
        // They have one place after the other among all changes; the last is the one to wait for.
        Ok(products) => match products.last() {
            Some(last) => return Ok(pages::see_changed(&to, &site.changes, last).await),
            None => return Ok(pages::see_other(&to)),
        },
        Err(Refused::Stale | Refused::Deleted | Refused::Failed(Failure::NoSuchProduct)) => Problem::stale(
            "One of these products was changed or deleted by someone else, so nothing was done to any. \
             These are their values now.",
        ),
        Err(Refused::Reused) => Problem::stale("This form was sent before, with other values. Send it once more."),
        Err(Refused::Fields(fields)) => {
            let why = fields.into_iter().map(|(_, why)| why).next().unwrap_or_default();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "There is a problem", sentence(&format!("Category {why}")))
        }
        Err(refused) => match refused.into_failure() {
            failure if failure.passes() => {
                let problem = Problem::unanswered(&failure);
                return unanswered(&site, &visit, ticked, problem).await;
            }
            failure => return Err(failure),
        },
    };
    question(&site, &visit, ticked, Some(problem)).await
}

/// Asks whether to do it, showing the products as they are.
async fn question(site: &Site, visit: &Visit, ticked: Ticked, problem: Option<Problem>) -> Result<Response, Failure> {
    let request = BatchGetProductsRequest { ids: ticked.ids.clone() };
    let command = site.backends.command(Backend::Catalogue, BATCH_GET, &request);
    let mut products = site.backends.several(ticked.ids.clone()).await?;
    products.retain(|product| product.deleted.is_none());
    let frame = frame(visit, ticked.deed, problem.is_some()).with_command(command);
    let offered = pages::offered(site).await;
    let bulk = Bulk {
        frame,
        moves: ticked.deed == Deed::Move,
        products,
        category: ticked.category,
        request_id: fresh(),
        offered,
        problem,
    };
    Ok(render(bulk))
}

/// The same form again, of what it says itself: the catalogue cannot be asked.
async fn unanswered(site: &Site, visit: &Visit, ticked: Ticked, problem: Problem) -> Result<Response, Failure> {
    let named = ticked.ids.iter().zip(&ticked.etags);
    let products = named.map(|(id, etag)| Product::unknown(*id, etag.clone())).collect();
    let bulk = Bulk {
        frame: frame(visit, ticked.deed, true),
        moves: ticked.deed == Deed::Move,
        products,
        category: ticked.category,
        request_id: ticked.request_id,
        offered: pages::offered(site).await,
        problem: Some(problem),
    };
    Ok(render(bulk))
}

fn frame(visit: &Visit, deed: Deed, has_problem: bool) -> Frame {
    let prefix = if has_problem { "Error: " } else { "" };
    let what = match deed {
        Deed::Move => "Move products",
        Deed::Delete => "Delete products",
    };
    Frame::behind(visit, Nav::Home, format!("{prefix}{what}"))
}

#[expect(clippy::needless_pass_by_value, reason = "a page is shown once")]
fn render(bulk: Bulk) -> Response {
    let status = bulk.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    pages::page(status, &bulk)
}

impl Ticked {
    /// Reads what a form says, in which `id` and `etag` stand once for each product.
    fn read(form: &[u8]) -> Result<Ticked, Failure> {
        let mut ticked = Ticked {
            deed: Deed::Move,
            ids: Vec::new(),
            etags: Vec::new(),
            category: String::new(),
            request_id: fresh(),
        };
        for (name, value) in form_urlencoded::parse(form) {
            match &*name {
                "do" => ticked.deed = if value == "delete" { Deed::Delete } else { Deed::Move },
                "id" => ticked.ids.push(pages::product_id(&value)?),
                "etag" => ticked.etags.push(value.into_owned()),
                "category" => ticked.category = value.into_owned(),
                "request_id" if uuid::Uuid::parse_str(&value).is_ok() => ticked.request_id = value.into_owned(),
                _ => {}
            }
        }
        match ticked.ids.len() {
            0 => Err(Failure::BadRequest("No product is ticked. Go back and tick those that are meant.".into())),
            MOST.. => Err(Failure::BadRequest(format!("More than {MOST} products are ticked."))),
            _ => Ok(ticked),
        }
    }

    /// The products with the versions that were shown.
    fn versions(&self) -> impl Iterator<Item = (i64, String)> {
        let etags = self.etags.iter().cloned().chain(std::iter::repeat(String::new()));
        self.ids.iter().copied().zip(etags)
    }

    fn moving(&self) -> BatchUpdateProductsRequest {
        let mask = prost_types::FieldMask { paths: vec!["category".into()] };
        let requests = self.versions().map(|(id, etag)| UpdateProductRequest {
            id,
            etag,
            category: self.category.clone(),
            update_mask: Some(mask.clone()),
            ..Default::default()
        });
        BatchUpdateProductsRequest {
            requests: requests.collect(),
            request_id: self.request_id.clone(),
            validate_only: false,
        }
    }

    fn deleting(&self) -> BatchDeleteProductsRequest {
        let requests = self.versions().map(|(id, etag)| DeleteProductRequest { id, etag, ..Default::default() });
        BatchDeleteProductsRequest {
            requests: requests.collect(),
            request_id: self.request_id.clone(),
            validate_only: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_product_is_changed_from_the_version_that_was_shown() {
        let ticked = Ticked::read(b"do=move&id=4&etag=v1&id=9&etag=v7&category=Paint%2FInterior").unwrap();

        let moving = ticked.moving();

        let told: Vec<_> =
            moving.requests.iter().map(|one| (one.id, one.etag.as_str(), one.category.as_str())).collect();
        assert_eq!(told, [(4, "v1", "Paint/Interior"), (9, "v7", "Paint/Interior")]);
        assert_eq!(moving.requests[0].update_mask.as_ref().unwrap().paths, ["category"]);
        assert_eq!(ticked.deleting().requests.len(), 2);
    }

    #[test]
    fn nothing_ticked_and_too_much_ticked_are_told_in_words() {
        assert!(matches!(Ticked::read(b"do=delete"), Err(Failure::BadRequest(_))));
        assert!(matches!(Ticked::read("id=1&".repeat(201).as_bytes()), Err(Failure::BadRequest(_))));
        assert!(matches!(Ticked::read(b"id=x"), Err(Failure::NoSuchProduct)));
        assert_eq!(Ticked::read(b"do=delete&id=1").unwrap().deed, Deed::Delete);
    }
}
