//! A call to paste: the same with curl and with grpcurl, made of the contract alone.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::{
    gateway::{
        fields,
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
        let (own, all) = (fields(&route.binding), rule::bindings(&route.method));
        let others: Vec<Vec<String>> = all.iter().flatten().map(fields).collect();
        let is_enough = !own.is_empty() && others.iter().any(|other| own.iter().all(|field| !other.contains(field)));
        let others = others.into_iter().flatten().filter(|field| !own.contains(field)).collect();
        Way { own, others, is_enough }
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
    let mut path = route.binding.template.filled(segments(route));
    let verb = &route.binding.verb;
    let body = body(route, &way.own);
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
    let mut request = if way.is_enough { json!({}) } else { message(&input, &way.others, DEPTH) };
    for field in &way.own {
        if let Some(text) = route.binding.template.text_of(field, segments(route)) {
            put(&mut request, &fields::way(&input, field), &text);
        }
    }
    let data = if request == json!({}) { String::new() } else { format!(" -d {}", quoted(&request.to_string())) };
    let address = address.unwrap_or_else(|| "ADDRESS:PORT".into());
    format!("grpcurl{}{data} {address} {}", access(&route.owner.channel), &route.path.as_str()[1..])
}

/// What stands in place of the wildcards of a path.
fn segments(route: &Route) -> Vec<String> {
    let input = route.method.input();
    let of = |path: &str| fields::way(&input, path).pop();
    let segments = route.binding.template.wildcards().map(|wildcard| match wildcard.field.and_then(of) {
        Some(field) if wildcard.is_whole => plain(&field),
        Some(field) => text(field.name()),
        None => "x".into(),
    });
    segments.collect()
}

/// The body, which leaves to the path what that says.
fn body(route: &Route, own: &[String]) -> Option<Value> {
    let input = route.method.input();
    let ways = own.iter().map(|path| fields::way(&input, path));
    match &route.binding.body {
        Body::Nothing => None,
        Body::Whole => {
            let mut body = message(&input, &[], DEPTH);
            ways.for_each(|way| take_out(&mut body, &way));
            Some(body)
        }
        Body::Field(field) => {
            let mut body = value(field, DEPTH);
            let inside = ways.filter(|way| way.first() == Some(field));
            inside.for_each(|way| take_out(&mut body, &way[1..]));
            Some(body)
        }
    }
}

fn take_out(message: &mut Value, way: &[FieldDescriptor]) {
    let (Some((first, rest)), Some(object)) = (way.split_first(), message.as_object_mut()) else { return };
    match object.get_mut(first.json_name()) {
        Some(inner) if !rest.is_empty() => take_out(inner, rest),
        _ => drop(object.remove(first.json_name())),
    }
}

/// Puts what a path says where the way leads.
fn put(message: &mut Value, way: &[FieldDescriptor], text: &str) {
    let (Some((first, rest)), Some(object)) = (way.split_first(), message.as_object_mut()) else { return };
    if rest.is_empty() {
        // A number or a truth has its own way of being written.
        let is_text = first.kind() == Kind::String;
        let own = if is_text { json!(text) } else { value(first, 0) };
        object.insert(first.json_name().to_owned(), own);
    } else {
        put(object.entry(first.json_name()).or_insert_with(|| json!({})), rest, text);
    }
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

fn plain(field: &FieldDescriptor) -> String {
    match value(field, 0) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Words for a field of this name.
fn text(name: &str) -> String {
    name.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use http::Method as Verb;

    use super::*;
    use crate::gateway::{
        contracts::{Found, tests::with_offer},
        written::{SHOP, set},
    };

    #[test]
    fn a_call_fills_the_segments_of_its_path_and_leaves_them_out_of_its_body() {
        let site = Site { address: "http://h".into(), is_guarded: false };
        with_offer("shop", set(SHOP), |known| {
            for (verb, path, curl_end, grpcurl_data) in [
                (
                    Verb::GET,
                    "/v1/shelves/1/books/2",
                    "'http://h/v1/shelves/name/books/name'",
                    r#"{"name":"shelves/name/books/name"}"#,
                ),
                (
                    Verb::GET,
                    "/v1/covers/7",
                    "'http://h/v1/covers/1'",
                    r#"{"book":{"name":"name","pages":"1","title":"title"}}"#,
                ),
                (
                    Verb::PATCH,
                    "/v1/shelves/1",
                    r#"-d '{"pages":"1","title":"title"}' 'http://h/v1/shelves/name'"#,
                    r#"{"book":{"name":"shelves/name","pages":"1","title":"title"}}"#,
                ),
            ] {
                let Found::Route(route) = known.find(&verb, path, None) else { panic!("{verb} {path}") };
                let (curl, grpcurl) = (curl(&route, &site), grpcurl(&route));
                assert!(curl.ends_with(curl_end), "{curl}");
                assert!(grpcurl.contains(&format!("-d '{grpcurl_data}'")), "{grpcurl}");
                let path = curl.rsplit("http://h").next().unwrap().trim_end_matches('\'');
                assert!(route.binding.template.matches(path), "{path}");
            }
        });
    }
}
