//! The headers of a request that fill fields, or say on what condition it is to be done.

use http::{HeaderMap, HeaderName, Method as Verb, StatusCode, header};
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};
use tonic::Code;

use crate::gateway::{fields::Violation, problem::Problem, route::Route, said::Said};

/// Makes a request happen once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Fills the fields that headers say.
pub(super) fn fill(
    route: &Route,
    headers: &HeaderMap,
    message: &mut DynamicMessage,
    said: &Said,
) -> Result<(), Problem> {
    // What changes something would have to be left undone for it (RFC 9110, 13.1.2), and no service can be asked so.
    if route.binding.verb != Verb::GET && headers.contains_key(header::IF_NONE_MATCH) {
        return Err(no_use(&header::IF_NONE_MATCH));
    }
    if let Some(key) = text(headers, &IDEMPOTENCY_KEY)? {
        // The draft of the header writes it as a quoted text; many clients do not.
        let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
        put((message, said), route.headers.request_id.as_ref(), (&IDEMPOTENCY_KEY, key))?;
    }
    if let Some(versions) = text(headers, &header::IF_MATCH)? {
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

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
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
    let field = field.ok_or_else(|| no_use(header))?;
    let value = Value::String(text.to_owned());
    if said.has(std::slice::from_ref(field)) && *message.get_field(field) != value {
        let wrong = Violation::new(field.name(), format!("the header {header} says something else"));
        return Err(Problem::invalid("The request contradicts itself.", vec![wrong]));
    }
    message.set_field(field, value);
    Ok(())
}

fn no_use(header: &HeaderName) -> Problem {
    Problem::invalid(format!("This method has no use for the header {header}."), Vec::new())
}
