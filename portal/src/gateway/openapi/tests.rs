//! The document of our own contracts.

use super::*;
use crate::gateway::{Contracts, contracts::tests::with_offer, written};

fn ours() -> Value {
    let mut document = None;
    let nobody = mesh::RegistryAddress::plain(vec!["127.0.0.1:1".to_owned()]);
    mesh::client(&nobody, async |mesh| {
        document = Some(super::document(&Contracts::built_in(&crate::backends::Backends::of(&mesh)).known(), false));
        Ok(std::process::ExitCode::SUCCESS)
    });
    document.expect("a document is made")
}

/// Every reference, wherever it stands.
fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn all_that_is_referred_to_is_there() {
    let document = ours();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
    }
}

#[test]
fn a_method_is_told_with_all_that_it_takes() {
    let document = ours();
    let update = &document["paths"]["/v1/products/{id}"]["patch"];
    assert_eq!(update["operationId"], "ProductService_UpdateProduct");
    assert_eq!(update["tags"], json!(["rundoo.products.v1.ProductService"]));
    let names: Vec<&str> =
        update["parameters"].as_array().unwrap().iter().map(|given| given["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["id", "Idempotency-Key", "If-Match", "Request-Timeout"]);
    let list = &document["paths"]["/v1/products"]["get"];
    assert!(list["parameters"].as_array().unwrap().iter().any(|given| given["name"] == "page_size"));
    let watch = &document["paths"]["/v1/products:watch"]["get"];
    assert!(watch["responses"]["200"]["content"]["application/x-ndjson"].is_object());
}

#[test]
fn every_operation_has_a_name_of_its_own_and_words() {
    let document = ours();
    let mut names = std::collections::BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (verb, operation) in operations.as_object().unwrap() {
            assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{verb} {path}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{verb} {path}");
        }
    }
    assert!(names.len() > 40, "{}", names.len());
}

#[test]
fn a_service_of_another_package_and_paths_of_one_shape_are_told_apart() {
    with_offer("shop", written::set(written::SHOP), |known| {
        let document = super::document(known, false);
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
        let names: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "{names:?}");
        assert!(names.contains(&"ProductService_GetProduct") && names.contains(&"ProductService_GetProduct_2"));

        let names = |path: &str, verb: &str| -> Vec<String> {
            let parameters = paths[path][verb]["parameters"].as_array().unwrap();
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
            in_path.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
        };
        for (path, verb, expected) in [
            ("/v1/shelves/{name_1}/books/{name_2}", "get", vec!["name_1", "name_2"]),
            ("/v1/boxes/{name_1}", "get", vec!["name_1"]),
            ("/v1/shelves/{name_1}", "get", vec!["name_1"]),
            ("/v1/shelves/{name_1}", "patch", vec!["name_1"]),
            ("/v1/things/{name}", "get", vec!["name"]),
            ("/v1/things/{name}", "delete", vec!["name"]),
            ("/v1/covers/{book.pages}", "get", vec!["book.pages"]),
        ] {
            assert_eq!(names(path, verb), expected, "{verb} {path}");
        }
        let pages = &paths["/v1/covers/{book.pages}"]["get"]["parameters"][0];
        assert_eq!(pages["schema"]["format"], "int64", "{pages}");
    });
}

#[test]
fn a_number_may_be_what_json_has_no_number_for() {
    let mut contract = None;
    with_offer("shop", written::set(written::SHOP), |known| {
        let schemas = |name: &str| {
            let field = written::all().get_field_by_name(name).unwrap();
            Schemas::of(known).of_field(&field).to_string()
        };
        contract = Some(["twice", "single", "wrapped", "wrapped_single", "nothing"].map(schemas));
    });
    let [twice, single, wrapped, wrapped_single, nothing] = contract.unwrap();
    for schema in [twice, single, wrapped, wrapped_single] {
        assert!(schema.contains("NaN") && schema.contains("-Infinity") && schema.contains("number"), "{schema}");
    }
    assert_eq!(nothing, r#"{"type":"null"}"#);
}
