//! Requests to write, parsed: what is to be done, and the key for which it is done once.

use prost::Message as _;
use prost_types::FieldMask;
use proto::products::{
    BatchCreateProductsRequest, BatchDeleteProductsRequest, BatchUpdateProductsRequest, CreateProductRequest,
    DeleteProductRequest, RestoreProductVersionRequest, UndeleteProductRequest, UpdateProductRequest,
};

use super::{MOST_IN_A_BATCH, Parsed, both, fault, optional_etag, product_id, request_id, version};
use crate::category::Category;
use crate::error::{Error, Fault};
use crate::product::{Draft, Name, Sku};
use crate::store::RequestKey;
use crate::text::cut;
use crate::version::Author;
use crate::write::{Change, Step, Write};

/// A write, and the key for which it is done once.
type Asked = (Write, Option<RequestKey>);

pub(in crate::service) fn create(request: CreateProductRequest, author: Author) -> Result<Asked, Error> {
    let (step, id) = both(create_step(&request), request_id(&request.request_id))?;
    let validate_only = request.validate_only;
    let rest = CreateProductRequest { request_id: String::new(), ..request };
    let key = id.map(|id| RequestKey::new(id, "CreateProduct", &rest.encode_to_vec()));
    Ok((Write { author, steps: vec![step], validate_only }, key))
}

fn create_step(request: &CreateProductRequest) -> Parsed<Step> {
    Draft::parse(&request.name, &request.category, &request.sku).map(Step::Create)
}

pub(in crate::service) fn update(request: UpdateProductRequest, author: Author) -> Result<Asked, Error> {
    let (step, id) = both(update_step(&request), request_id(&request.request_id))?;
    let validate_only = request.validate_only;
    let rest = UpdateProductRequest { request_id: String::new(), ..request };
    let key = id.map(|id| RequestKey::new(id, "UpdateProduct", &rest.encode_to_vec()));
    Ok((Write { author, steps: vec![step], validate_only }, key))
}

fn update_step(request: &UpdateProductRequest) -> Parsed<Step> {
    let UpdateProductRequest { id, name, category, sku, etag, update_mask, .. } = request;
    let which = both(product_id(*id), optional_etag(etag));
    let fields = mask(update_mask.as_ref()).and_then(|mask| {
        let name = named(mask.name, "name", name, Name::parse);
        let category = named(mask.category, "category", category, Category::parse);
        both(both(name, category), named(mask.sku, "sku", sku, Sku::parse))
    });
    let ((id, etag), ((name, category), sku)) = both(which, fields)?;
    Ok(Step::Update(Change { id, etag, name, category, sku }))
}

pub(in crate::service) fn delete(request: DeleteProductRequest, author: Author) -> Result<Asked, Error> {
    let (step, id) = both(delete_step(&request), request_id(&request.request_id))?;
    let validate_only = request.validate_only;
    let rest = DeleteProductRequest { request_id: String::new(), ..request };
    let key = id.map(|id| RequestKey::new(id, "DeleteProduct", &rest.encode_to_vec()));
    Ok((Write { author, steps: vec![step], validate_only }, key))
}

fn delete_step(request: &DeleteProductRequest) -> Parsed<Step> {
    let (id, etag) = both(product_id(request.id), optional_etag(&request.etag))?;
    Ok(Step::Delete { id, etag, allow_missing: request.allow_missing })
}

pub(in crate::service) fn undelete(request: UndeleteProductRequest, author: Author) -> Result<Asked, Error> {
    let step = both(product_id(request.id), optional_etag(&request.etag));
    let ((id, etag), key) = both(step, request_id(&request.request_id))?;
    let validate_only = request.validate_only;
    let rest = UndeleteProductRequest { request_id: String::new(), ..request };
    let key = key.map(|key| RequestKey::new(key, "UndeleteProduct", &rest.encode_to_vec()));
    Ok((Write { author, steps: vec![Step::Undelete { id, etag }], validate_only }, key))
}

pub(in crate::service) fn restore(request: RestoreProductVersionRequest, author: Author) -> Result<Asked, Error> {
    let which = both(product_id(request.id), version("version", request.version));
    let how = both(optional_etag(&request.etag), request_id(&request.request_id));
    let ((id, version), (etag, key)) = both(which, how)?;
    let validate_only = request.validate_only;
    let rest = RestoreProductVersionRequest { request_id: String::new(), ..request };
    let key = key.map(|key| RequestKey::new(key, "RestoreProductVersion", &rest.encode_to_vec()));
    Ok((Write { author, steps: vec![Step::Restore { id, version, earlier: None, etag }], validate_only }, key))
}

pub(in crate::service) fn batch_create(request: BatchCreateProductsRequest, author: Author) -> Result<Asked, Error> {
    let alone = |one: &CreateProductRequest| one.request_id.is_empty() && !one.validate_only;
    let steps = batch(&request.requests, alone, create_step);
    let (steps, id) = both(steps, request_id(&request.request_id))?;
    let validate_only = request.validate_only;
    let rest = BatchCreateProductsRequest { request_id: String::new(), ..request };
    let key = id.map(|id| RequestKey::new(id, "BatchCreateProducts", &rest.encode_to_vec()));
    Ok((Write { author, steps, validate_only }, key))
}

pub(in crate::service) fn batch_update(request: BatchUpdateProductsRequest, author: Author) -> Result<Asked, Error> {
    let alone = |one: &UpdateProductRequest| one.request_id.is_empty() && !one.validate_only;
    let steps = batch(&request.requests, alone, update_step);
    let (steps, id) = both(steps, request_id(&request.request_id))?;
    let validate_only = request.validate_only;
    let rest = BatchUpdateProductsRequest { request_id: String::new(), ..request };
    let key = id.map(|id| RequestKey::new(id, "BatchUpdateProducts", &rest.encode_to_vec()));
    Ok((Write { author, steps, validate_only }, key))
}

pub(in crate::service) fn batch_delete(request: BatchDeleteProductsRequest, author: Author) -> Result<Asked, Error> {
    let alone = |one: &DeleteProductRequest| one.request_id.is_empty() && !one.validate_only && !one.allow_missing;
    let steps = batch(&request.requests, alone, delete_step);
    let (steps, id) = both(steps, request_id(&request.request_id))?;
    let validate_only = request.validate_only;
    let rest = BatchDeleteProductsRequest { request_id: String::new(), ..request };
    let key = id.map(|id| RequestKey::new(id, "BatchDeleteProducts", &rest.encode_to_vec()));
    Ok((Write { author, steps, validate_only }, key))
}

/// The steps of a batch. What holds for all of it is not said by one of its requests.
fn batch<T>(requests: &[T], alone: impl Fn(&T) -> bool, step: impl Fn(&T) -> Parsed<Step>) -> Parsed<Vec<Step>> {
    if requests.is_empty() || requests.len() > MOST_IN_A_BATCH {
        return fault("requests", format!("must be 1 to {MOST_IN_A_BATCH}, are {}", requests.len()));
    }
    let (mut steps, mut faults) = (Vec::with_capacity(requests.len()), Vec::new());
    for (index, request) in requests.iter().enumerate() {
        if !alone(request) {
            let problem = "must not have a request_id, validate_only or allow_missing of its own";
            faults.push(Fault::new(format!("requests[{index}]"), problem));
        }
        match step(request) {
            Ok(step) => steps.push(step),
            Err(found) => {
                faults.extend(
                    found
                        .into_iter()
                        .map(|Fault { field, problem }| Fault { field: format!("requests[{index}].{field}"), problem }),
                );
            }
        }
    }
    if faults.is_empty() { Ok(steps) } else { Err(faults) }
}

/// Which fields a change is about.
struct Mask {
    name: bool,
    category: bool,
    sku: bool,
}

/// Fields that the catalogue gives are in a mask for nothing (AIP-203).
const OUTPUT_ONLY: [&str; 7] = ["id", "version", "etag", "create_time", "update_time", "delete_time", "purge_time"];

fn mask(mask: Option<&FieldMask>) -> Parsed<Mask> {
    let Some(FieldMask { paths }) = mask.filter(|mask| !mask.paths.is_empty()) else {
        return Ok(Mask { name: true, category: true, sku: true });
    };
    let mut named = Mask { name: false, category: false, sku: false };
    for path in paths {
        match path.as_str() {
            "*" => named = Mask { name: true, category: true, sku: true },
            "name" => named.name = true,
            "category" => named.category = true,
            "sku" => named.sku = true,
            path if OUTPUT_ONLY.contains(&path) => {}
            path => return fault("update_mask", format!("names {:?}, which is no field of a product", cut(path, 100))),
        }
    }
    Ok(named)
}

/// What a field is to say, when the mask names it.
fn named<T, E: std::fmt::Display>(
    named: bool,
    field: &str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Parsed<Option<T>> {
    match named {
        true => parse(text).map(Some).map_err(|problem| vec![Fault::new(field, problem)]),
        false => Ok(None),
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
        let author = Author::default;
        assert_eq!(fields(create(CreateProductRequest::default(), author()).unwrap_err()), ["name", "category", "sku"]);
        assert_eq!(
            fields(update(UpdateProductRequest::default(), author()).unwrap_err()),
            ["id", "name", "category", "sku"]
        );
        assert_eq!(fields(delete(DeleteProductRequest::default(), author()).unwrap_err()), ["id"]);
        assert_eq!(fields(undelete(UndeleteProductRequest::default(), author()).unwrap_err()), ["id"]);
        assert_eq!(fields(restore(RestoreProductVersionRequest::default(), author()).unwrap_err()), ["id", "version"]);
        assert_eq!(fields(batch_create(BatchCreateProductsRequest::default(), author()).unwrap_err()), ["requests"]);
    }

    #[test]
    fn a_request_is_told_from_another_by_all_but_its_id() {
        let request = |name: &str, request_id: &str| CreateProductRequest {
            name: name.to_owned(),
            category: "Tools".to_owned(),
            sku: "T-1".to_owned(),
            request_id: request_id.to_owned(),
            validate_only: false,
        };
        let id = "7b5d2f0e-6a0b-4b5e-9a55-0d6f6f0f0c11";
        let key = |name: &str, id: &str| create(request(name, id), Author::default()).unwrap().1;

        assert_eq!(key("Hammer", id), key("Hammer", &id.to_uppercase()));
        assert_ne!(key("Hammer", id), key("Saw", id));
        assert_eq!(key("Hammer", ""), None);
    }

    #[test]
    fn a_mask_names_what_changes() {
        let parsed = |paths: &[&str]| {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            mask(Some(&FieldMask { paths })).map(|mask| (mask.name, mask.category, mask.sku))
        };

        assert_eq!(parsed(&["sku", "version"]), Ok((false, false, true)));
        assert_eq!(parsed(&["*"]), Ok((true, true, true)));
        assert_eq!(parsed(&[]), Ok((true, true, true)));
        assert!(parsed(&["price"]).is_err());
    }

    #[test]
    fn a_batch_names_the_requests_that_are_at_fault() {
        let good = CreateProductRequest {
            name: "Saw".to_owned(),
            category: "Tools".to_owned(),
            sku: "S-1".to_owned(),
            ..Default::default()
        };
        let bad = CreateProductRequest { sku: String::new(), request_id: "x".to_owned(), ..good.clone() };
        let requests = vec![good, bad];

        let refused = batch_create(BatchCreateProductsRequest { requests, ..Default::default() }, Author::default());

        assert_eq!(fields(refused.unwrap_err()), ["requests[1]", "requests[1].sku"]);
    }
}
