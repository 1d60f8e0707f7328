//! The paths of the document: two that differ only in the names of their parameters are one there.

use std::{collections::BTreeMap, iter};

use http::Method as Verb;
use serde_json::{Map, Value};

use crate::gateway::template::Template;

/// Paths by their shapes, such as `/v1/products/{}`.
#[derive(Debug, Default)]
pub(super) struct Paths(BTreeMap<String, Path>);

/// A path with a parameter for each of its wildcards: a text in a parameter has no slashes.
#[derive(Debug)]
pub(super) struct Path {
    written: String,
    /// The names of its parameters, as the first template had them.
    pub(super) parameters: Vec<String>,
    operations: Map<String, Value>,
}

impl Paths {
    /// The path of a template.
    pub(super) fn of(&mut self, template: &Template) -> &mut Path {
        let shape = template.filled(iter::repeat("{}"));
        self.0.entry(shape).or_insert_with(|| {
            let parameters = parameters(template);
            let written = template.filled(parameters.iter().map(|name| format!("{{{name}}}")));
            Path { written, parameters, operations: Map::new() }
        })
    }

    /// What is at each.
    pub(super) fn finish(self) -> Map<String, Value> {
        self.0.into_values().map(|path| (path.written, path.operations.into())).collect()
    }
}

impl Path {
    /// Puts an operation there. Where `*` and `**` stand in the same place the document can have one of them only: the
    /// first.
    pub(super) fn add(&mut self, verb: &Verb, operation: Value) {
        self.operations.entry(verb.as_str().to_ascii_lowercase()).or_insert(operation);
    }
}

/// The field where a wildcard is all of it, else the field or `segment` with a number.
fn parameters(template: &Template) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for wildcard in template.wildcards() {
        let field = wildcard.field.unwrap_or("segment");
        let numbered = (1..).map(|number| format!("{field}_{number}"));
        let mut candidates = wildcard.is_whole.then(|| field.to_owned()).into_iter().chain(numbered);
        names.extend(candidates.find(|name| !names.contains(name)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(templates: &[(&Verb, &str)]) -> Vec<(String, Vec<String>)> {
        let mut paths = Paths::default();
        for (verb, template) in templates {
            paths.of(&Template::parse(template).unwrap()).add(verb, Value::Null);
        }
        let verbs = |operations: &Value| operations.as_object().unwrap().keys().cloned().collect();
        paths.finish().iter().map(|(path, operations)| (path.clone(), verbs(operations))).collect()
    }

    #[test]
    fn a_pattern_is_literals_and_a_parameter_for_each_wildcard() {
        for (template, path) in [
            ("/v1/products/{id}:undelete", "/v1/products/{id}:undelete"),
            ("/v1/mirror/{tag=folders/*/files/**}", "/v1/mirror/folders/{tag_1}/files/{tag_2}"),
            ("/v1/{book.name=shelves/*}/{tag}", "/v1/shelves/{book.name_1}/{tag}"),
            ("/v1/{rest=**}", "/v1/{rest_1}"),
            ("/v1/*/{tag_1}/{tag=a/*}/**", "/v1/{segment_1}/{tag_1}/a/{tag_2}/{segment_2}"),
        ] {
            assert_eq!(written(&[(&Verb::GET, template)]), [(path.to_owned(), vec!["get".to_owned()])]);
        }
    }

    #[test]
    fn paths_of_one_shape_are_one() {
        let both = written(&[(&Verb::GET, "/v1/things/{id}"), (&Verb::DELETE, "/v1/things/{thing_id}")]);
        assert_eq!(both, [("/v1/things/{id}".to_owned(), vec!["delete".to_owned(), "get".to_owned()])]);
        let two = written(&[(&Verb::GET, "/v1/{name=shelves/*}"), (&Verb::GET, "/v1/{name=books/*}")]);
        let paths: Vec<&str> = two.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/v1/books/{name_1}", "/v1/shelves/{name_1}"]);
    }
}
