//! What an annotation says of a method: `google.api.http`, read from its descriptor.

use http::Method as Verb;
use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};

use crate::gateway::template::Template;

/// The option, as its extension is called.
const OPTION: &str = "google.api.http";

/// One way to call a method over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) verb: Verb,
    pub(crate) template: Template,
    pub(crate) body: Body,
    /// The field of the answer that is sent; all of it when there is none.
    pub(crate) answer: Option<FieldDescriptor>,
}

/// What the body of a request fills.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// Nothing: there is none.
    Nothing,
    /// All that the path does not.
    Whole,
    /// A field.
    Field(FieldDescriptor),
}

/// The ways to call a method, none when it has no annotation. Each is read by itself: an error says what is wrong with it.
pub(crate) fn bindings(method: &MethodDescriptor) -> Vec<Result<Binding, String>> {
    let Some(option) = method.parent_pool().get_extension_by_name(OPTION) else { return Vec::new() };
    let options = method.options();
    if !options.has_extension(&option) {
        return Vec::new();
    }
    let rule = options.get_extension(&option);
    let Value::Message(rule) = rule.as_ref() else { return vec![Err("the annotation is no message".into())] };
    let mut bindings = vec![read(method, rule)];
    if let Some(Value::List(more)) = rule.get_field_by_name("additional_bindings").as_deref() {
        bindings.extend(more.iter().filter_map(Value::as_message).map(|rule| read(method, rule)));
    }
    bindings
}

fn read(method: &MethodDescriptor, rule: &DynamicMessage) -> Result<Binding, String> {
    let text = |name: &str| {
        let value = rule.get_field_by_name(name)?;
        value.as_str().map(str::to_owned).filter(|text| !text.is_empty())
    };
    let verbs = [
        (Verb::GET, "get"),
        (Verb::PUT, "put"),
        (Verb::POST, "post"),
        (Verb::DELETE, "delete"),
        (Verb::PATCH, "patch"),
    ];
    let (verb, path) = verbs
        .into_iter()
        .find_map(|(verb, name)| Some((verb, text(name)?)))
        .ok_or("the annotation names none of get, put, post, delete and patch")?;
    let template = Template::parse(&path)?;
    for field in template.fields() {
        variable(&method.input(), field)?;
    }
    let body = match text("body").as_deref() {
        None => Body::Nothing,
        Some("*") => Body::Whole,
        Some(name) => Body::Field(named(&method.input(), name)?),
    };
    let answer = text("response_body").map(|name| named(&method.output(), &name)).transpose()?;
    Ok(Binding { verb, template, body, answer })
}

fn named(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, String> {
    message.get_field_by_name(name).ok_or_else(|| format!("{} has no field {name}", message.full_name()))
}

/// A path can fill what is one text: no list, no map, no message.
fn variable(message: &MessageDescriptor, path: &str) -> Result<(), String> {
    let mut message = message.clone();
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let field = named(&message, name)?;
        if field.cardinality() == Cardinality::Repeated {
            return Err(format!("{path} is a list"));
        }
        match (field.kind(), names.peek()) {
            (Kind::Message(inner), Some(_)) => message = inner,
            (Kind::Message(_), None) => return Err(format!("{path} is a message")),
            (_, Some(_)) => return Err(format!("{name} has no fields")),
            (_, None) => {}
        }
    }
    Ok(())
}
