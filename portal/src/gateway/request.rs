//! What a client asks over HTTP, as the message that the method takes.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};
use prost::Message as _;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};
use serde::de::IgnoredAny;
use tonic::Code;

use crate::gateway::{
    duplicates::{self, Named},
    fields::{self, Violation},
    problem::Problem,
    route::Route,
    rule::Body,
};

/// Makes a request happen once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Errors of one request that are told.
const MOST_VIOLATIONS: usize = 20;

/// A request as the method takes it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Vec<u8>,
    /// Whether it only asks what would happen.
    pub(crate) is_trial: bool,
}

/// Reads a request: path, query, body and headers, all of which fill fields of one message.
pub(crate) fn read(route: &Route, parts: &Parts, body: &Bytes) -> Result<Asked, Problem> {
    let (mut message, named) = from_body(route, &parts.headers, body)?;
    let mut said = Said::by_body(route, &named);
    let mut violations = Vec::new();
    if route.binding.body != Body::Whole {
        let query = parts.uri.query().unwrap_or_default();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            violations.extend(from_query(route, &mut message, &mut said, (&name, &text)).err());
        }
    } else if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Problem::invalid("The body holds the whole request: the query must be empty.", Vec::new()));
    }
    let captured = route.binding.template.capture(parts.uri.path());
    let captured = captured.map_err(|_| Problem::invalid("The path is not UTF-8 once it is decoded.", Vec::new()))?;
    for (field, text) in captured {
        violations.extend(from_path(&mut message, &said, (field, &text)).err());
    }
    violations.truncate(MOST_VIOLATIONS);
    if !violations.is_empty() {
        let what = if violations.len() == 1 { "A field does" } else { "Several fields do" };
        return Err(Problem::invalid(format!("{what} not fit the contract of this method."), violations));
    }
    infer_mask(route, named, &mut message)?;
    from_headers(route, &parts.headers, &mut message, &said)?;
    let trial = message.get_field_by_name("validate_only").and_then(|trial| trial.as_bool());
    Ok(Asked { request: message.encode_to_vec(), is_trial: trial == Some(true) })
}

/// What the body says; also which fields it names of the thing that it is.
fn from_body(route: &Route, headers: &HeaderMap, body: &Bytes) -> Result<(DynamicMessage, Vec<Named>), Problem> {
    let input = route.method.input();
    let mut message = DynamicMessage::new(input.clone());
    let field = match &route.binding.body {
        Body::Nothing => return Ok((message, Vec::new())),
        Body::Whole if body.is_empty() => return Ok((message, Vec::new())),
        Body::Whole => None,
        Body::Field(field) => Some(field),
    };
    if !is_json(headers) {
        let words = "Send the body as application/json.";
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidArgument,
            "UNSUPPORTED_MEDIA_TYPE",
            words,
        ));
    }
    let Some(field) = field else {
        return deserialized(input, body);
    };
    match field.kind() {
        Kind::Message(kind) if !field.is_list() && !field.is_map() => {
            let (value, named) = deserialized(kind, body)?;
            message.set_field(field, Value::Message(value));
            Ok((message, named))
        }
        // A list or a plain value is read as the field of a message around it.
        _ => {
            // What is more than one value would say more than this field.
            serde_json::from_slice::<IgnoredAny>(body).map_err(|cause| wrong_json(&cause))?;
            let key = serde_json::Value::from(field.json_name()).to_string();
            let around = [b"{", key.as_bytes(), b":", body, b"}"].concat();
            deserialized(input, &around)
        }
    }
}

/// Reads a message; also the fields of it that the JSON names.
fn deserialized(kind: MessageDescriptor, json: &[u8]) -> Result<(DynamicMessage, Vec<Named>), Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind.clone(), &mut deserializer, &options)
        .map_err(|cause| wrong_json(&cause))?;
    deserializer.end().map_err(|cause| wrong_json(&cause))?;
    let named = duplicates::named(kind, json).map_err(|cause| wrong_json(&cause))?;
    Ok((message, named))
}

/// What serde says, as a sentence; of an unknown field its name too.
fn wrong_json(cause: &serde_json::Error) -> Problem {
    let words = cause.to_string();
    let detail = format!("The body is not the JSON that this method takes: {words}.");
    let unknown = words.split_once("unrecognized field name '").and_then(|(_, rest)| rest.split_once('\''));
    let violations = unknown.map(|(field, _)| Violation::new(field, "there is no such field"));
    Problem::invalid(detail, violations.into_iter().collect())
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(header::CONTENT_TYPE) else { return false };
    let essence = media_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// A PATCH changes what its body names, unless it has a mask of its own. The names of a mask begin with the thing
/// that is changed (AIP-134).
fn infer_mask(route: &Route, named: Vec<Named>, message: &mut DynamicMessage) -> Result<(), Problem> {
    let Some(mask) = &route.headers.mask else { return Ok(()) };
    // For the service a mask that names nothing would mean all fields.
    let nothing = || Err(Problem::invalid("A PATCH names what it changes, in its body or in update_mask.", Vec::new()));
    if message.has_field(mask) {
        let paths = fields::at(message, std::slice::from_ref(mask));
        let paths = paths.as_ref().and_then(Value::as_message).and_then(|mask| mask.get_field_by_name("paths"));
        let is_empty = paths.is_none_or(|paths| paths.as_list().is_none_or(<[Value]>::is_empty));
        return if is_empty { nothing() } else { Ok(()) };
    }
    // What names the thing, the version or the request is no part of what is changed.
    let others = ["etag", "request_id", "validate_only", "update_mask", "allow_missing"];
    let own = named.into_iter().map(|named| named.field).filter(|field| {
        !others.contains(&field.name()) && !route.binding.template.fields().any(|path| path == field.name())
    });
    let paths: BTreeSet<String> = own.map(|field| field.name().to_owned()).collect();
    if paths.is_empty() {
        return nothing();
    }
    let Kind::Message(kind) = mask.kind() else { return Ok(()) };
    let mut value = DynamicMessage::new(kind);
    value.set_field_by_name("paths", Value::List(paths.into_iter().map(Value::String).collect()));
    message.set_field(mask, Value::Message(value));
    Ok(())
}

/// The fields that a request has named, by the numbers on their ways: of a value that is the default nothing is left in
/// a message.
struct Said(HashSet<Vec<u32>>);

impl Said {
    fn by_body(route: &Route, named: &[Named]) -> Said {
        let mut said = Said(HashSet::new());
        let outside = match &route.binding.body {
            Body::Field(field) if matches!(field.kind(), Kind::Message(_)) && !field.is_list() && !field.is_map() => {
                vec![field.number()]
            }
            _ => Vec::new(),
        };
        said.take(&outside, named);
        said
    }

    fn take(&mut self, outside: &[u32], named: &[Named]) {
        for Named { field, inside, .. } in named.iter().filter(|named| !named.is_null) {
            let way = [outside, &[field.number()]].concat();
            self.take(&way, inside);
            if inside.is_empty() {
                self.0.insert(way);
            }
        }
    }

    fn has(&self, way: &[FieldDescriptor]) -> bool {
        self.0.contains(&numbers(way))
    }

    /// Whether it is said for the first time, also as a part of what was said, or with a part that was.
    fn add(&mut self, way: &[FieldDescriptor]) -> bool {
        let way = numbers(way);
        let is_new = !self.0.iter().any(|said| said.starts_with(&way) || way.starts_with(said));
        self.0.insert(way);
        is_new
    }
}

fn numbers(way: &[FieldDescriptor]) -> Vec<u32> {
    way.iter().map(FieldDescriptor::number).collect()
}

/// A query fills what neither the path nor the body does.
fn from_query(
    route: &Route,
    message: &mut DynamicMessage,
    said: &mut Said,
    (name, text): (&str, &str),
) -> Result<(), Violation> {
    let way = fields::way(&message.descriptor(), name);
    if matches!((&route.binding.body, way.first()), (Body::Field(body), Some(first)) if body == first) {
        return Err(Violation::new(name, "it is what the body says"));
    }
    if way.last().is_some_and(|field| !field.is_list()) && !said.add(&way) {
        return Err(Violation::new(name, fields::TWICE));
    }
    fields::set(message, (name, &way), text)
}

/// The path counts; a body or a query may say the same, but nothing else.
fn from_path(message: &mut DynamicMessage, said: &Said, (field, text): (&str, &str)) -> Result<(), Violation> {
    let way = fields::way(&message.descriptor(), field);
    if !said.has(&way) {
        return fields::set(message, (field, &way), text);
    }
    let mut alone = DynamicMessage::new(message.descriptor());
    fields::set(&mut alone, (field, &way), text)?;
    if fields::at(message, &way) == fields::at(&alone, &way) {
        Ok(())
    } else {
        Err(Violation::new(field, "the path says something else"))
    }
}

fn from_headers(route: &Route, headers: &HeaderMap, message: &mut DynamicMessage, said: &Said) -> Result<(), Problem> {
    if let Some(key) = header_text(headers, &IDEMPOTENCY_KEY)? {
        // The draft of the header writes it as a quoted text; many clients do not.
        let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
        put((message, said), route.headers.request_id.as_ref(), (&IDEMPOTENCY_KEY, key))?;
    }
    if let Some(versions) = header_text(headers, &header::IF_MATCH)? {
        if versions.contains(',') {
            return Err(Problem::invalid("If-Match may name one version only.", Vec::new()));
        }
        if versions != "*" {
            let version = versions.trim();
            if version.starts_with("W/") {
                let words = "A weak tag is never the version that is meant.";
                return Err(Problem::new(StatusCode::PRECONDITION_FAILED, Code::Aborted, "PRECONDITION_FAILED", words));
            }
            put((message, said), route.headers.expected.as_ref(), (&header::IF_MATCH, version))?;
        }
    }
    Ok(())
}

fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    text.map(Some)
        .ok_or_else(|| Problem::invalid(format!("The header {name} is malformed or there twice."), Vec::new()))
}

/// Puts a header into its field, which may say the same already, but nothing else.
fn put(
    (message, said): (&mut DynamicMessage, &Said),
    field: Option<&FieldDescriptor>,
    (header, text): (&HeaderName, &str),
) -> Result<(), Problem> {
    let Some(field) = field else {
        return Err(Problem::invalid(format!("This method has no use for the header {header}."), Vec::new()));
    };
    let value = Value::String(text.to_owned());
    if said.has(std::slice::from_ref(field)) && *message.get_field(field) != value {
        let wrong = Violation::new(field.name(), format!("the header {header} says something else"));
        return Err(Problem::invalid("The request contradicts itself.", vec![wrong]));
    }
    message.set_field(field, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Method;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::gateway::{Contracts, contracts::Found};

    /// Runs with the contracts that the portal was built with.
    fn with_routes(work: impl FnOnce(&dyn Fn(&Method, &str) -> Option<Arc<Route>>)) {
        let nobody = mesh::RegistryAddress::plain(vec!["127.0.0.1:1".to_owned()]);
        let mut work = Some(work);
        mesh::client(&nobody, async |mesh| {
            let known = Contracts::built_in(&crate::backends::Backends::of(&mesh)).known();
            let find = |verb: &Method, path: &str| match known.find(verb, path, None) {
                Found::Route(route) => Some(route),
                _ => None,
            };
            work.take().expect("it runs once")(&find);
            Ok(std::process::ExitCode::SUCCESS)
        });
    }

    fn parts(verb: &Method, uri: &str) -> Option<Parts> {
        let request = http::Request::builder().method(verb).uri(uri).header("content-type", "application/json");
        request.body(()).ok().map(|request| request.into_parts().0)
    }

    mod fuzz {
        use super::*;

        #[test]
        fn no_body_breaks_it_and_what_it_takes_is_a_message() {
            with_routes(|find| {
                let route = find(&Method::POST, "/v1/products").unwrap();
                let parts = parts(&Method::POST, "/v1/products").unwrap();
                let words = r#"(\{|\}|\[|\]|:|,|"name"|"sku"|"request_id"|null|7|-1e999|"x"|"\\u0000"|true| )*"#;
                let body =
                    prop_oneof![words.prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..80),];
                let judged = TestRunner::default().run(&body, |body| {
                    if let Ok(asked) = read(&route, &parts, &Bytes::from(body)) {
                        prop_assert!(DynamicMessage::decode(route.method.input(), asked.request.as_slice()).is_ok());
                    }
                    Ok(())
                });
                judged.unwrap();
            });
        }

        #[test]
        fn no_address_breaks_it() {
            with_routes(|find| {
                let names = "(page_size|pageToken|filter|order_by|show_deleted|a\\.b|%00|%FF|é)";
                let address =
                    format!("(/v1/products|/v1/logs|/v1/products/[0-9%a-f:]{{1,9}})\\?({names}=[!-~]{{0,8}}&?)*");
                let judged = TestRunner::default().run(&proptest::string::string_regex(&address).unwrap(), |address| {
                    let Some(parts) = parts(&Method::GET, &address) else { return Ok(()) };
                    let Some(route) = find(&Method::GET, parts.uri.path()) else { return Ok(()) };
                    if let Ok(asked) = read(&route, &parts, &Bytes::new()) {
                        prop_assert!(DynamicMessage::decode(route.method.input(), asked.request.as_slice()).is_ok());
                    }
                    Ok(())
                });
                judged.unwrap();
            });
        }
    }
}
