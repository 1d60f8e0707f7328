//! Requests, parsed: every field that is at fault is named at once.

mod imports;
mod writes;

use jiff::Timestamp;
use mesh::page;
use prost::Message as _;
use proto::products::{
    CompareProductVersionsRequest, ExportProductsRequest, GetProductRequest, GetProductVersionRequest,
    ListArchivesRequest, ListCategoriesRequest, ListProductVersionsRequest, ListProductsRequest, RenameCategoryRequest,
    SearchField, SearchProductsRequest,
};
use uuid::Uuid;

use crate::category::Category;
use crate::error::{Error, Fault};
use crate::order::Order;
use crate::product::Etag;
use crate::search::{Field, Query};
use crate::selection::Selection;
use crate::store::RequestKey;
use crate::text::Text;

pub(super) use imports::{
    WhichImport, changes, changes_token, commit, conflicts, conflicts_token, jobs, jobs_token, options, refusals,
    refusals_token, undo, which_import,
};
pub(super) use writes::{batch_create, batch_delete, batch_update, create, delete, restore, undelete, update};

type Parsed<T> = Result<T, Vec<Fault>>;

const DEFAULT_PAGE_SIZE: usize = 50;
/// A thousand products of the greatest length take 2 MiB of a message's 4.
const MOST_PAGE_SIZE: usize = 1000;
/// What the contract allows in one call.
const MOST_IN_A_BATCH: usize = 1000;

/// Which product is asked for, and when.
pub(super) fn find(request: GetProductRequest) -> Result<(Which, Option<Timestamp>), Error> {
    let which = match (request.id, request.sku.trim()) {
        (id, "") => product_id(id).map(Which::Id),
        (0, sku) => Ok(Which::Sku(sku.to_owned())),
        _ => fault("sku", "must be empty when there is an id"),
    };
    Ok(both(which, moment("as_of", request.as_of))?)
}

/// What names a product.
pub(super) enum Which {
    Id(i64),
    Sku(String),
}

pub(super) fn ids(ids: Vec<i64>) -> Result<Vec<i64>, Error> {
    if ids.is_empty() || ids.len() > MOST_IN_A_BATCH {
        return Err(Error::invalid("ids", format!("must be 1 to {MOST_IN_A_BATCH}, are {}", ids.len())));
    }
    match ids.iter().position(|id| *id <= 0) {
        Some(index) => Err(Error::invalid(&format!("ids[{index}]"), "must be above 0")),
        None => Ok(ids),
    }
}

fn moment(field: &str, moment: Option<prost_types::Timestamp>) -> Parsed<Option<Timestamp>> {
    let Some(moment) = moment else { return Ok(None) };
    let parsed = Timestamp::new(moment.seconds, moment.nanos).map(Some);
    parsed.map_err(|_| vec![Fault::new(field, "is no moment that there can be")])
}

const LIST_VERSIONS: &str = "ListProductVersions";

/// Of which product, how many versions at most, and before which one.
pub(super) fn versions(request: &ListProductVersionsRequest) -> Result<(i64, usize, i64), Error> {
    let (id, size) = both(product_id(request.id), size(request.page_size))?;
    let before = place(&request.page_token, LIST_VERSIONS, id)?;
    Ok((id, size, before.unwrap_or(i64::MAX)))
}

/// The token of the versions of a product before one.
pub(super) fn versions_token(id: i64, version: i64) -> String {
    page::encode(LIST_VERSIONS, &[&id.to_string()], &[&version.to_string()])
}

pub(super) fn find_version(request: &GetProductVersionRequest) -> Result<(i64, i64), Error> {
    Ok(both(product_id(request.id), version("version", request.version))?)
}

pub(super) fn compare(request: &CompareProductVersionsRequest) -> Result<(i64, i64, i64), Error> {
    let versions = both(version("from_version", request.from_version), version("to_version", request.to_version));
    let (id, (from, to)) = both(product_id(request.id), versions)?;
    Ok((id, from, to))
}

pub(super) fn id(id: i64) -> Result<i64, Error> {
    Ok(product_id(id)?)
}

/// Which products, in which order, and how many at most.
pub(super) fn list(request: &ListProductsRequest) -> Result<(Selection, Order, usize), Error> {
    let listed = both(selection(&request.filter, request.show_deleted), order(&request.order_by));
    let ((selection, order), size) = both(listed, size(request.page_size))?;
    Ok((selection, order, size))
}

/// Which products, and in which order: the oldest first when nothing is said.
pub(super) fn export(request: &ExportProductsRequest) -> Result<(Selection, Order), Error> {
    let order = match request.order_by.trim() {
        "" => Ok(Order::OLDEST),
        said => order(said),
    };
    Ok(both(selection(&request.filter, request.show_deleted), order)?)
}

fn selection(filter: &str, show_deleted: bool) -> Parsed<Selection> {
    Selection::parse(filter, show_deleted).map_err(|problem| vec![Fault::new("filter", problem)])
}

fn order(text: &str) -> Parsed<Order> {
    Order::parse(text).map_err(|problem| vec![Fault::new("order_by", problem)])
}

pub(super) fn search(request: &SearchProductsRequest) -> Result<(Query, usize), Error> {
    let field = match SearchField::try_from(request.field) {
        Ok(SearchField::Unspecified | SearchField::Any) => Ok(Field::Any),
        Ok(SearchField::Name) => Ok(Field::Name),
        Ok(SearchField::Category) => Ok(Field::Category),
        Ok(SearchField::Sku) => Ok(Field::Sku),
        Err(_) => fault("field", "is none that we know"),
    };
    let query = Text::parse(&request.query).map_err(|problem| vec![Fault::new("query", problem)]);
    let ((field, query), size) = both(both(field, query), size(request.page_size))?;
    Ok((Query::new(field, &query), size))
}

const LIST_CATEGORIES: &str = "ListCategories";

/// Below which key, how many categories at most, and behind which key.
pub(super) fn categories(request: &ListCategoriesRequest) -> Result<(String, usize, String), Error> {
    let parent = match request.parent.trim() {
        "" => Ok(String::new()),
        path => category("parent", path).map(|category| category.key().to_owned()),
    };
    let (parent, size) = both(parent, size(request.page_size))?;
    if request.page_token.is_empty() {
        return Ok((parent, size, String::new()));
    }
    let arguments = [parent.as_str(), if request.recursive { "all" } else { "next" }];
    let key = page::decode(&request.page_token, LIST_CATEGORIES, &arguments).map_err(|_| Error::InvalidPageToken)?;
    match key.as_slice() {
        [after] if !after.contains('\0') => Ok((parent, size, after.clone())),
        _ => Err(Error::InvalidPageToken),
    }
}

/// The token of the categories of a list behind a key.
pub(super) fn categories_token(request: &ListCategoriesRequest, parent: &str, key: &str) -> String {
    page::encode(LIST_CATEGORIES, &[parent, if request.recursive { "all" } else { "next" }], &[key])
}

/// Which category is renamed to what, and for which key once.
pub(super) fn rename(request: RenameCategoryRequest) -> Result<(Category, Category, Option<RequestKey>), Error> {
    let paths = both(category("from", &request.from), category("to", &request.to));
    let ((from, to), id) = both(paths, request_id(&request.request_id))?;
    let rest = RenameCategoryRequest { request_id: String::new(), ..request };
    let key = id.map(|id| RequestKey::new(id, "RenameCategory", &rest.encode_to_vec()));
    Ok((from, to, key))
}

fn category(field: &str, path: &str) -> Parsed<Category> {
    Category::parse(path).map_err(|problem| vec![Fault::new(field, problem)])
}

/// How many months at most, and the code of the one that they are behind.
pub(super) fn archives(request: &ListArchivesRequest, method: &str) -> Result<(usize, i64), Error> {
    let size = size(request.page_size)?;
    if request.page_token.is_empty() {
        return Ok((size, 0));
    }
    let key = page::decode(&request.page_token, method, &[]).map_err(|_| Error::InvalidPageToken)?;
    match key.as_slice() {
        [code] => Ok((size, code.parse().map_err(|_| Error::InvalidPageToken)?)),
        _ => Err(Error::InvalidPageToken),
    }
}

/// The number that a token of something's list holds; none for its beginning.
fn place(token: &str, method: &str, id: i64) -> Result<Option<i64>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let key = page::decode(token, method, &[&id.to_string()]).map_err(|_| Error::InvalidPageToken)?;
    match key.as_slice() {
        [number] => number.parse().map(Some).map_err(|_| Error::InvalidPageToken),
        _ => Err(Error::InvalidPageToken),
    }
}

fn product_id(id: i64) -> Parsed<i64> {
    if id > 0 { Ok(id) } else { fault("id", "must be above 0") }
}

fn version(field: &str, version: i64) -> Parsed<i64> {
    if version > 0 { Ok(version) } else { fault(field, "must be above 0") }
}

fn optional_etag(text: &str) -> Parsed<Option<Etag>> {
    match text {
        "" => Ok(None),
        text => Etag::parse(text).map(Some).map_err(|problem| vec![Fault::new("etag", problem)]),
    }
}

fn size(requested: i32) -> Parsed<usize> {
    page::size(requested, DEFAULT_PAGE_SIZE, MOST_PAGE_SIZE).map_err(|problem| vec![Fault::new("page_size", problem)])
}

fn request_id(text: &str) -> Parsed<Option<Uuid>> {
    match text {
        "" => Ok(None),
        text => Uuid::try_parse(text).map(Some).map_err(|_| vec![Fault::new("request_id", "must be a UUID")]),
    }
}

fn fault<T>(field: &str, problem: impl std::fmt::Display) -> Parsed<T> {
    Err(vec![Fault::new(field, problem)])
}

/// Both, or everything that is wrong with either.
fn both<A, B>(a: Parsed<A>, b: Parsed<B>) -> Parsed<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err([a.err(), b.err()].into_iter().flatten().flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(error: Error) -> Vec<String> {
        match error {
            Error::Invalid(faults) => faults.into_iter().map(|fault| fault.field).collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_empty_request_names_all_that_is_missing() {
        assert_eq!(fields(compare(&CompareProductVersionsRequest::default()).unwrap_err()).len(), 3);
        assert_eq!(fields(search(&SearchProductsRequest::default()).unwrap_err()), ["query"]);
    }

    #[test]
    fn garbage_is_named_too() {
        let garbage = SearchProductsRequest {
            query: "x".repeat(1_000_000),
            field: -7,
            page_size: i32::MIN,
            page_token: String::new(),
        };
        assert_eq!(fields(search(&garbage).unwrap_err()), ["field", "query", "page_size"]);
    }
}
