//! What there is to be called, as an `OpenAPI` 3.1 document.

mod paths;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{MessageDescriptor, MethodDescriptor};
use serde_json::{Value, json};

use crate::gateway::{
    comments,
    contracts::Known,
    fields::is_plain,
    openapi::{paths::Paths, schema::Schemas},
    places::Place,
    route::Route,
    rule::Body,
};

/// The document.
pub(crate) fn document(known: &Known, is_guarded: bool) -> Value {
    let mut writer = Writer { schemas: Schemas::of(known), names: BTreeSet::new() };
    let (mut paths, mut tags) = (Paths::default(), BTreeMap::new());
    for place in known.places() {
        let route = place.first();
        let service = route.method.parent_service();
        let said = writer.schemas.comments(&service.parent_file()).at(service.path()).to_owned();
        tags.entry(service.full_name().to_owned()).or_insert(said);
        let path = paths.of(&route.binding.template);
        let operation = writer.operation(place, &path.parameters);
        path.add(&route.binding.verb, operation);
    }
    let tags: Vec<Value> =
        tags.into_iter().map(|(name, description)| json!({"name": name, "description": description})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rundoo",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every annotated method of the mesh as JSON over HTTP: canonical proto3 JSON, \
                            problems as RFC 9457, streams as newline-delimited JSON.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": if is_guarded { json!([{"token": []}]) } else { json!([{}, {"token": []}]) },
        "tags": tags,
        "paths": paths.finish(),
        "components": {
            "schemas": writer.schemas.finish(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token from the Account page."},
            },
            "responses": {
                "Problem": {
                    "description": "What went wrong.",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
            },
        },
    })
}

struct Writer<'k> {
    schemas: Schemas<'k>,
    /// Of operations, which each has for itself.
    names: BTreeSet<String>,
}

impl Writer<'_> {
    fn operation(&mut self, place: &Place, parameters: &[String]) -> Value {
        let route = place.first();
        let method = &route.method;
        let service = method.parent_service();
        let said = self.schemas.comments(&service.parent_file()).at(method.path()).to_owned();
        let (_, role) = route.need();
        let mut operation = json!({
            "operationId": self.name(method),
            "tags": [service.full_name()],
            "summary": comments::summary(&said),
            "description": format!("{said}\n\nNeeds the role {role}."),
            "parameters": self.parameters(place, parameters),
            "responses": self.responses(route),
        });
        if let Some(body) = self.body(route) {
            operation["requestBody"] = body;
        }
        operation
    }

    /// A name for one more way to call a method; packages are no part of it, so that others may be called the same.
    fn name(&mut self, method: &MethodDescriptor) -> String {
        let name = format!("{}_{}", method.parent_service().name(), method.name());
        let more = (2..).map(|count| format!("{name}_{count}"));
        let mut names = std::iter::once(name.clone()).chain(more);
        names.find(|name| self.names.insert(name.clone())).unwrap_or(name)
    }

    fn parameters(&mut self, place: &Place, names: &[String]) -> Vec<Value> {
        let route = place.first();
        let input = route.method.input();
        let mut parameters = Vec::new();
        for (wildcard, name) in route.binding.template.wildcards().zip(names) {
            let (whole, said) = self.field(&input, wildcard.field.unwrap_or_default());
            let field = wildcard.field.unwrap_or("the path");
            let (schema, said) = match (wildcard.is_whole, wildcard.is_rest) {
                (true, _) => (whole, said),
                (false, false) => (json!({"type": "string"}), format!("A segment of {field}. {said}")),
                (false, true) => {
                    (json!({"type": "string"}), format!("The rest of {field}, in one segment or several. {said}"))
                }
            };
            let said = said.trim();
            parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": schema, "description": said}));
        }
        if route.binding.body != Body::Whole {
            let body = match &route.binding.body {
                Body::Field(field) => Some(field.name().to_owned()),
                _ => None,
            };
            self.queries(route, &input, String::new(), (&mut parameters, body.as_deref()));
        }
        parameters.extend(headers(place));
        parameters
    }

    /// Fields that a query can have; those of messages in it by their paths.
    fn queries(
        &mut self,
        route: &Route,
        message: &MessageDescriptor,
        before: String,
        (parameters, body): (&mut Vec<Value>, Option<&str>),
    ) {
        for field in message.fields() {
            let path = format!("{before}{}", field.name());
            let is_elsewhere =
                route.binding.template.fields().any(|other| other == path) || body == Some(path.as_str());
            if is_elsewhere || field.is_map() {
                continue;
            }
            if is_plain(&field.kind()) {
                let (schema, said) = self.field(message, field.name());
                parameters.push(json!({"name": path, "in": "query", "schema": schema, "description": said}));
            } else if let (prost_reflect::Kind::Message(inner), false) = (field.kind(), field.is_list()) {
                // Deeper ones can be set too; a document that told them all would not end.
                if before.is_empty() {
                    self.queries(route, &inner, format!("{path}."), (parameters, None));
                }
            }
        }
    }

    fn field(&mut self, message: &MessageDescriptor, path: &str) -> (Value, String) {
        let mut message = message.clone();
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let Some(field) = message.get_field_by_name(name) else { break };
            match field.kind() {
                prost_reflect::Kind::Message(inner) if names.peek().is_some() => message = inner,
                _ => {
                    let said = self.schemas.comments(&field.parent_file()).at(field.path()).to_owned();
                    return (self.schemas.of_field(&field), said);
                }
            }
        }
        (json!({"type": "string"}), String::new())
    }

    fn body(&mut self, route: &Route) -> Option<Value> {
        let schema = match &route.binding.body {
            Body::Nothing => return None,
            // What the path says need not be said again.
            Body::Whole => self.schemas.of_message(&route.method.input()),
            Body::Field(field) => self.schemas.of_field(field),
        };
        Some(json!({"required": true, "content": {"application/json": {"schema": schema}}}))
    }

    fn responses(&mut self, route: &Route) -> Value {
        let schema = match &route.binding.answer {
            None => self.schemas.of_message(&route.method.output()),
            Some(field) => self.schemas.of_field(field),
        };
        let content = if route.method.is_server_streaming() {
            let line = json!({
                "type": "object",
                "description": "One line of the answer.",
                "oneOf": [
                    {"type": "object", "required": ["result"], "properties": {"result": schema}},
                    {
                        "type": "object",
                        "required": ["error"],
                        "properties": {"error": {"$ref": "#/components/schemas/Problem"}},
                    },
                ],
            });
            json!({"application/x-ndjson": {"schema": line}})
        } else {
            json!({"application/json": {"schema": schema}})
        };
        let mut responses = json!({
            "200": {"description": "The answer.", "content": content},
            "default": {"$ref": "#/components/responses/Problem"},
        });
        if !route.headers.version.is_empty() {
            let tag =
                json!({"schema": {"type": "string"}, "description": "The version, for If-Match and If-None-Match."});
            responses["200"]["headers"] = json!({"ETag": tag});
        }
        if !route.headers.version.is_empty() && route.binding.verb == http::Method::GET {
            responses["304"] = json!({"description": "It is the same as the version that is known."});
        }
        responses
    }
}

/// What a method takes of the headers of a request.
fn headers(place: &Place) -> Vec<Value> {
    let route = place.first();
    let text = json!({"type": "string"});
    let mut headers = Vec::new();
    let mut add = |name: &str, schema: Value, said: &str| {
        headers.push(json!({"name": name, "in": "header", "schema": schema, "description": said}));
    };
    if route.headers.request_id.is_some() {
        let id = json!({"type": "string", "format": "uuid"});
        add("Idempotency-Key", id, "The request id: with it, repeating changes nothing more.");
    }
    if route.headers.expected.is_some() {
        add("If-Match", text.clone(), "The ETag of the version that is meant.");
    }
    if !route.headers.version.is_empty() && route.binding.verb == http::Method::GET {
        add("If-None-Match", text, "The ETag that is known: answers 304 while it is the same.");
    }
    let seconds = json!({"type": "number", "minimum": 1, "maximum": 60});
    add(
        "Request-Timeout",
        seconds,
        "Seconds that the client waits. Less than one is taken too, and ends in 504 as soon as it is over.",
    );
    if place.owners().len() > 1 {
        let names: Vec<&str> = place.owners().collect();
        add("Rundoo-Service", json!({"type": "string", "enum": names}), "Which service is asked.");
    }
    headers
}

#[cfg(test)]
mod tests;
