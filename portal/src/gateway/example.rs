//! A call to paste: the same with curl and with grpcurl, made of the contract alone.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::{
    gateway::{
        route::Route,
        rule::{self, Binding, Body},
    },
    grpcurl::{access, quoted},
};

/// Fields that a first call does without.
const LEFT_OUT: [&str; 8] =
    ["request_id", "etag", "update_mask", "page_size", "page_token", "as_of", "after_sequence", "epoch"];

/// How deep messages are filled.
const DEPTH: usize = 2;

/// Where the gateway is for who reads the docs.
#[derive(Debug)]
pub(crate) struct Site {
    /// Such as `https://127.0.0.1:5050`.
    pub(crate) address: String,
    /// Whether a token is asked for.
    pub(crate) is_guarded: bool,
}

/// How a token gets into a call: it is nobody else's to read.
const TOKEN: &str = " -H \"Authorization: Bearer $RUNDOO_TOKEN\"";

/// Which fields of a request a path fills, where a method may have several.
struct Way {
    own: Vec<String>,
    /// What the other paths do, in place of its own.
    others: Vec<String>,
    /// Whether another path does without its own fields: with them nothing else is to say what is meant.
    is_enough: bool,
}

impl Way {
    fn of(route: &Route) -> Way {
        let fields = |binding: &Binding| binding.template.fields().map(str::to_owned).collect::<Vec<_>>();
        let (own, all) = (fields(&route.binding), rule::bindings(&route.method).unwrap_or_default());
        let others: Vec<Vec<String>> = all.iter().map(fields).collect();
        let is_enough = !own.is_empty() && others.iter().any(|other| own.iter().all(|field| !other.contains(field)));
        let others = others.into_iter().flatten().filter(|field| !own.contains(field)).collect();
        Way { own, others, is_enough }
    }

    fn has(&self, field: &str) -> bool {
        self.own.iter().any(|own| own == field)
    }

    /// What a query has nothing to say of.
    fn taken(&self) -> Vec<String> {
        self.own.iter().chain(&self.others).cloned().collect()
    }
}

/// How curl calls a method there.
pub(crate) fn curl(route: &Route, site: &Site) -> String {
    let way = Way::of(route);
    let input = route.method.input();
    let mut path = route.binding.template.to_string();
    for field in &way.own {
        path = path.replace(&format!("{{{field}}}"), &plain(&input, field));
    }
    let verb = &route.binding.verb;
    let body = match &route.binding.body {
        Body::Nothing => None,
        Body::Whole => Some(message(&input, &way.own, DEPTH)),
        Body::Field(field) => Some(value(field, DEPTH)),
    };
    let mut line = String::from("curl");
    if site.is_guarded {
        line.push_str(TOKEN);
    }
    if route.method.is_server_streaming() {
        line.push_str(" -N");
    }
    // What has a body is a POST unless it says otherwise.
    let usual = if body.is_some() { http::Method::POST } else { http::Method::GET };
    if *verb != usual {
        line.push_str(&format!(" -X {verb}"));
    }
    if let Some(body) = body {
        line.push_str(" -H 'Content-Type: application/json'");
        line.push_str(&format!(" -d {}", quoted(&body.to_string())));
    } else {
        let query = if way.is_enough { String::new() } else { query(&message(&input, &way.taken(), 0)) };
        if !query.is_empty() {
            path.push_str(&format!("?{query}"));
        }
    }
    format!("{line} {}", quoted(&format!("{}{path}", site.address)))
}

/// How grpcurl calls it, at the address of whoever answers.
pub(crate) fn grpcurl(route: &Route) -> String {
    let address = route.owner.channel.address();
    let (way, input) = (Way::of(route), route.method.input());
    let mut request = message(&input, &way.others, DEPTH);
    if let Some(fields) = request.as_object_mut().filter(|_| way.is_enough) {
        let own = |name: &str| input.get_field_by_json_name(name).is_some_and(|field| way.has(field.name()));
        fields.retain(|name, _| own(name));
    }
    let data = if request == json!({}) { String::new() } else { format!(" -d {}", quoted(&request.to_string())) };
    let address = address.unwrap_or_else(|| "ADDRESS:PORT".into());
    format!("grpcurl{}{data} {address} {}", access(&route.owner.channel), &route.path.as_str()[1..])
}

/// The fields of a request that stand in an address.
fn query(request: &Value) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in request.as_object().into_iter().flatten() {
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        match value {
            Value::String(text) => query.append_pair(name, text),
            value => query.append_pair(name, &value.to_string()),
        };
    }
    query.finish()
}

/// A request with something in each field that a first call would have.
fn message(kind: &MessageDescriptor, without: &[String], depth: usize) -> Value {
    let has_choice = |field: &FieldDescriptor| field.containing_oneof().is_some_and(|oneof| oneof.fields().len() > 1);
    let mut object = Map::new();
    for field in kind.fields() {
        let name = field.name();
        if LEFT_OUT.contains(&name) || without.iter().any(|other| other == name) || has_choice(&field) {
            continue;
        }
        // What is asked for once is enough at the outside.
        let is_flag = field.kind() == Kind::Bool && (name != "validate_only" || depth < DEPTH && depth > 0);
        let is_deep = depth == 0 && matches!(field.kind(), Kind::Message(_));
        // What filters and orders is left to who reads its comment.
        let narrows = matches!(name, "filter" | "order_by" | "order" | "fields" | "parent" | "levels");
        if is_flag || is_deep || narrows || field.is_map() {
            continue;
        }
        object.insert(field.json_name().to_owned(), value(&field, depth));
    }
    Value::Object(object)
}

fn value(field: &FieldDescriptor, depth: usize) -> Value {
    let one = match field.kind() {
        Kind::Message(kind) => match kind.full_name() {
            "google.protobuf.Timestamp" => json!("2026-01-01T00:00:00Z"),
            "google.protobuf.Duration" => json!("10s"),
            _ if depth == 0 => json!({}),
            _ => message(&kind, &[], depth - 1),
        },
        Kind::Enum(kind) => kind.values().nth(1).map_or(json!(0), |value| json!(value.name())),
        Kind::Bool => json!(true),
        Kind::String => json!(text(field.name())),
        Kind::Bytes => json!(""),
        Kind::Float | Kind::Double => json!(1.0),
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => json!("1"),
        _ => json!(1),
    };
    if field.is_list() { json!([one]) } else { one }
}

fn plain(message: &MessageDescriptor, path: &str) -> String {
    match message.get_field_by_name(path).map(|field| value(&field, 0)) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => "x".into(),
    }
}

/// Words for a field of this name.
fn text(name: &str) -> String {
    name.replace('_', "-")
}
