//! Requests, parsed: every field that is at fault is named at once.

use mesh::page;
use prost::Message as _;
use proto::products::{
    CreateProductRequest, DeleteProductRequest, ImportMode, ImportOptions, ListImportRefusalsRequest, SearchField,
    SearchProductsRequest, UpdateProductRequest,
};
use uuid::Uuid;

use crate::error::{Error, Fault};
use crate::import::Mode;
use crate::product::{Change, Draft, Etag};
use crate::store::{Beginning, Field, RequestKey, Search};
use crate::text::Text;

type Parsed<T> = Result<T, Vec<Fault>>;

const DEFAULT_PAGE_SIZE: usize = 50;
/// A thousand products of the greatest length take 2 MiB of a message's 4.
const MOST_PAGE_SIZE: usize = 1000;
const LONGEST_SOURCE: usize = 200;

pub(super) fn create(request: CreateProductRequest) -> Result<(Draft, Option<RequestKey>), Error> {
    let draft = Draft::parse(&request.name, &request.category, &request.sku);
    let id = request_id(&request.request_id);
    let (draft, id) = both(draft, id)?;
    let rest = CreateProductRequest { request_id: String::new(), ..request };
    Ok((draft, id.map(|id| RequestKey::new(id, "CreateProduct", &rest.encode_to_vec()))))
}

pub(super) fn update(request: UpdateProductRequest) -> Result<(Change, Option<RequestKey>), Error> {
    let which = both(product_id(request.id), etag(&request.etag));
    let draft = Draft::parse(&request.name, &request.category, &request.sku);
    let (((id, etag), draft), key) = both(both(which, draft), request_id(&request.request_id))?;
    let rest = UpdateProductRequest { request_id: String::new(), ..request };
    let key = key.map(|key| RequestKey::new(key, "UpdateProduct", &rest.encode_to_vec()));
    Ok((Change { id, etag, draft }, key))
}

pub(super) fn delete(request: DeleteProductRequest) -> Result<(i64, Option<Etag>, Option<RequestKey>), Error> {
    let etag = match request.etag.as_str() {
        "" => Ok(None),
        text => etag(text).map(Some),
    };
    let ((product, etag), id) = both(both(product_id(request.id), etag), request_id(&request.request_id))?;
    let rest = DeleteProductRequest { request_id: String::new(), ..request };
    Ok((product, etag, id.map(|id| RequestKey::new(id, "DeleteProduct", &rest.encode_to_vec()))))
}

pub(super) fn id(id: i64) -> Result<i64, Error> {
    Ok(product_id(id)?)
}

pub(super) fn page_size(requested: i32) -> Result<usize, Error> {
    Ok(size(requested)?)
}

pub(super) fn search(request: &SearchProductsRequest) -> Result<(Search, usize), Error> {
    let field = match SearchField::try_from(request.field) {
        Ok(SearchField::Unspecified | SearchField::Any) => Ok(Field::Any),
        Ok(SearchField::Name) => Ok(Field::Name),
        Ok(SearchField::Category) => Ok(Field::Category),
        Ok(SearchField::Sku) => Ok(Field::Sku),
        Err(_) => fault("field", "is none that we know"),
    };
    let query = Text::parse(&request.query).map_err(|problem| vec![Fault::new("query", problem)]);
    let ((field, query), size) = both(both(field, query), size(request.page_size))?;
    Ok((Search { field, query }, size))
}

/// What an import's options say.
pub(super) fn options(options: ImportOptions) -> Result<(Beginning, Mode), Error> {
    let mode = match ImportMode::try_from(options.mode) {
        Ok(ImportMode::Unspecified | ImportMode::Upsert) => Ok(Mode::Upsert),
        Ok(ImportMode::Create) => Ok(Mode::Create),
        Err(_) => fault("options.mode", "is none that we know"),
    };
    let source = match options.source.trim() {
        source if source.chars().any(char::is_control) => fault("options.source", "must not hold control characters"),
        source if source.chars().count() > LONGEST_SOURCE => {
            fault("options.source", format!("must have at most {LONGEST_SOURCE} characters"))
        }
        source => Ok(source.to_owned()),
    };
    let id = request_id(&options.request_id).map_err(|_| vec![Fault::new("options.request_id", "must be a UUID")]);
    let ((mode, source), id) = both(both(mode, source), id)?;
    let only_if_new = options.only_if_new;
    let rest = ImportOptions { request_id: String::new(), ..options };
    let key = id.map(|id| RequestKey::new(id, "ImportProducts", &rest.encode_to_vec()));
    Ok((Beginning { key, source, only_if_new }, mode))
}

const LIST_REFUSALS: &str = "ListImportRefusals";

/// Which import, how many rows at most, and behind which line.
pub(super) fn refusals(request: &ListImportRefusalsRequest) -> Result<(i64, usize, i64), Error> {
    let (id, size) = both(product_id(request.id), size(request.page_size))?;
    if request.page_token.is_empty() {
        return Ok((id, size, 0));
    }
    let key =
        page::decode(&request.page_token, LIST_REFUSALS, &[&id.to_string()]).map_err(|_| Error::InvalidPageToken)?;
    match key.as_slice() {
        [line] => Ok((id, size, line.parse().map_err(|_| Error::InvalidPageToken)?)),
        _ => Err(Error::InvalidPageToken),
    }
}

/// The token of the refused rows of an import behind a line.
pub(super) fn refusals_token(id: i64, line: i64) -> String {
    page::encode(LIST_REFUSALS, &[&id.to_string()], &[&line.to_string()])
}

fn product_id(id: i64) -> Parsed<i64> {
    if id > 0 { Ok(id) } else { fault("id", "must be above 0") }
}

fn etag(text: &str) -> Parsed<Etag> {
    match text {
        "" => fault("etag", "must not be empty"),
        text => Etag::parse(text).map_err(|problem| vec![Fault::new("etag", problem)]),
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
        assert_eq!(fields(create(CreateProductRequest::default()).unwrap_err()), ["name", "category", "sku"]);
        assert_eq!(
            fields(update(UpdateProductRequest::default()).unwrap_err()),
            ["id", "etag", "name", "category", "sku"]
        );
        assert_eq!(fields(delete(DeleteProductRequest::default()).unwrap_err()), ["id"]);
        assert_eq!(fields(search(&SearchProductsRequest::default()).unwrap_err()), ["query"]);
        assert_eq!(fields(refusals(&ListImportRefusalsRequest::default()).unwrap_err()), ["id"]);
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

        let garbage =
            ImportOptions { request_id: "no uuid".to_owned(), mode: 99, only_if_new: true, source: "\0".to_owned() };
        assert_eq!(fields(options(garbage).unwrap_err()), ["options.mode", "options.source", "options.request_id"]);
    }

    #[test]
    fn a_request_is_told_from_another_by_all_but_its_id() {
        let request = |name: &str, request_id: &str| CreateProductRequest {
            name: name.to_owned(),
            category: "Tools".to_owned(),
            sku: "T-1".to_owned(),
            request_id: request_id.to_owned(),
        };
        let id = "7b5d2f0e-6a0b-4b5e-9a55-0d6f6f0f0c11";
        let key = |name: &str, id: &str| create(request(name, id)).unwrap().1;

        assert_eq!(key("Hammer", id), key("Hammer", &id.to_uppercase()));
        assert_ne!(key("Hammer", id), key("Saw", id));
        assert_eq!(key("Hammer", ""), None);
    }

    #[test]
    fn a_token_of_refused_rows_belongs_to_its_import() {
        let request = |id, page_token| ListImportRefusalsRequest { id, page_size: 0, page_token };

        assert_eq!(refusals(&request(3, refusals_token(3, 17))).unwrap(), (3, 50, 17));
        assert!(matches!(refusals(&request(4, refusals_token(3, 17))), Err(Error::InvalidPageToken)));
    }
}
