//! The document of our own contracts.

use super::*;
use crate::gateway::Contracts;

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
