//! What a client asks over HTTP, as the message that the method takes.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};
use serde::de::IgnoredAny;
use tonic::Code;

use crate::gateway::{
    fields::{self, MOST_VIOLATIONS, Violation},
    headers,
    named::{self, Named, Unfit},
    problem::Problem,
    query,
    route::Route,
    rule::Body,
    said::Said,
};

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
        violations = query::fill(route, parts.uri.query().unwrap_or_default(), &mut message, &mut said);
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
        return Err(misfits(violations));
    }
    infer_mask(route, named, &mut message)?;
    headers::fill(route, &parts.headers, &mut message, &said)?;
    let trial = message.get_field_by_name("validate_only").and_then(|trial| trial.as_bool());
    Ok(Asked { request: message.encode_to_vec(), is_trial: trial == Some(true) })
}

fn misfits(violations: Vec<Violation>) -> Problem {
    let what = if violations.len() == 1 { "A field does" } else { "Several fields do" };
    Problem::invalid(format!("{what} not fit the contract of this method."), violations)
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
        return deserialized(input, body, "");
    };
    match field.kind() {
        Kind::Message(kind) if !field.is_list() && !field.is_map() => {
            let (value, named) = deserialized(kind, body, field.name())?;
            message.set_field(field, Value::Message(value));
            Ok((message, named))
        }
        // A list or a plain value is read as the field of a message around it.
        _ => {
            // What is more than one value would say more than this field.
            serde_json::from_slice::<IgnoredAny>(body).map_err(|cause| wrong_json(&cause, Vec::new()))?;
            let key = serde_json::Value::from(field.json_name()).to_string();
            let around = [b"{", key.as_bytes(), b":", body, b"}"].concat();
            deserialized(input, &around, "")
        }
    }
}

/// Reads a message, which is the field `outside` of the request or all of it; also the fields of it that the JSON names.
fn deserialized(kind: MessageDescriptor, json: &[u8], outside: &str) -> Result<(DynamicMessage, Vec<Named>), Problem> {
    let named = named::named(&kind, json, outside).map_err(unfit)?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize_with_options(kind, &mut deserializer, &options)
        .map_err(|cause| wrong_json(&cause, Vec::new()))?;
    Ok((message, named))
}

fn unfit(Unfit { violations, cause }: Unfit) -> Problem {
    match cause {
        Some(cause) => wrong_json(&cause, violations),
        None if violations.iter().any(|wrong| wrong.field.is_empty()) => {
            Problem::invalid("The body is not the JSON that this method takes: it is no object.", Vec::new())
        }
        None => misfits(violations),
    }
}

/// What serde says, as a sentence.
fn wrong_json(cause: &serde_json::Error, violations: Vec<Violation>) -> Problem {
    Problem::invalid(format!("The body is not the JSON that this method takes: {cause}."), violations)
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
    // The path names fields of the request, and the body perhaps those of one of them.
    let outside = match &route.binding.body {
        Body::Field(field) => format!("{}.", field.name()),
        _ => String::new(),
    };
    let is_in_path = |name: &str| {
        let mut paths = route.binding.template.fields();
        paths.any(|path| path == name || path.strip_prefix(&outside) == Some(name))
    };
    let own = named.into_iter().map(|named| named.field);
    let own = own.filter(|field| !others.contains(&field.name()) && !is_in_path(field.name()));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderName, HeaderValue, Method};
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::gateway::{
        Contracts,
        contracts::{Found, tests::with_offer},
        written::{SHOP, set},
    };

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

    /// What a request to a shop becomes.
    fn asked(verb: &Method, uri: &str, headers: &[(&str, &str)], body: &str) -> Result<String, Problem> {
        let mut asked = None;
        with_offer("shop", set(SHOP), |known| {
            let mut parts = parts(verb, uri).unwrap();
            for (name, value) in headers {
                parts.headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
            }
            let Found::Route(route) = known.find(verb, parts.uri.path(), None) else { panic!("{verb} {uri}") };
            let read = read(&route, &parts, &Bytes::from(body.to_owned()));
            asked = Some(read.map(|asked| {
                let message = DynamicMessage::decode(route.method.input(), asked.request.as_slice()).unwrap();
                serde_json::to_string(&message).unwrap()
            }));
        });
        asked.unwrap()
    }

    #[test]
    fn a_mask_names_nothing_that_the_path_says() {
        let patch = |body| asked(&Method::PATCH, "/v1/shelves/7", &[], body);
        assert_eq!(
            patch(r#"{"name":"shelves/7","title":"x"}"#).unwrap(),
            r#"{"book":{"name":"shelves/7","title":"x"},"updateMask":"title"}"#
        );
        assert!(patch(r#"{"name":"shelves/7"}"#).unwrap_err().line().contains("names what it changes"));
    }

    #[test]
    fn a_condition_that_no_service_can_be_asked_for_is_refused() {
        let none = [("if-none-match", "\"3\"")];
        let refused = asked(&Method::PATCH, "/v1/shelves/7", &none, r#"{"title":"x"}"#).unwrap_err();
        assert!(refused.line().ends_with("This method has no use for the header if-none-match."), "{}", refused.line());
        assert!(asked(&Method::DELETE, "/v1/things/7", &[("if-none-match", "*")], "").is_err());
        assert!(asked(&Method::GET, "/v1/things/7", &none, "").is_ok());
    }

    #[test]
    fn what_does_not_fit_is_told_by_the_field_of_the_request() {
        for (verb, uri, body, field) in [
            (Method::PATCH, "/v1/shelves/7", r#"{"pages":18446744073709551616}"#, "book.pages"),
            (Method::PATCH, "/v1/shelves/7", r#"{"nobody":1}"#, "book.nobody"),
            (Method::DELETE, "/v1/things/7?thing_name=%FF", "", "thing_name"),
            (Method::GET, "/v1/covers/7?book.title=%C3%28", "", "book.title"),
        ] {
            let problem = String::from_utf8(asked(&verb, uri, &[], body).unwrap_err().json()).unwrap();
            assert!(problem.contains(&format!("\"violations\":[{{\"field\":\"{field}\"")), "{problem}");
        }
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
