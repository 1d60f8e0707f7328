//! A gRPC service as its contract tells it: methods with calls to paste, and the messages of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::{
    door::{Client, Door},
    error::Failure,
    frame::{Frame, Nav},
    gateway::{
        Gateway,
        comments::{self, Comments, Piece},
        contracts::Known,
        example,
        places::Place,
        route::Route,
    },
    pages,
    visit::Visit,
};

/// One method.
struct Method {
    name: String,
    said: Vec<Vec<Piece>>,
    /// Where it is: verb and path.
    ways: Vec<(String, String)>,
    role: &'static str,
    takes: Link,
    answers: Link,
    streams: bool,
    curl: String,
    grpcurl: String,
}

/// A message, or a list of values.
struct Thing {
    name: String,
    anchor: String,
    said: Vec<Vec<Piece>>,
    rows: Vec<Row>,
    is_enum: bool,
}

/// A field, or a value.
struct Row {
    name: String,
    kind: Link,
    said: Vec<Vec<Piece>>,
}

/// The name of a kind, and where it is told.
struct Link {
    text: String,
    /// Empty when it needs no telling.
    anchor: String,
}

#[derive(Template)]
#[template(path = "contract.html")]
struct Contract {
    frame: Frame,
    name: String,
    said: Vec<Vec<Piece>>,
    methods: Vec<Method>,
    things: Vec<Thing>,
}

pub(crate) async fn show(
    (State(gateway), State(door)): (State<Gateway>, State<Door>),
    Extension(client): Extension<Client>,
    (visit, headers): (Visit, HeaderMap),
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let known = gateway.contracts.known();
    let routes = known.places().into_iter().map(Place::first);
    let routes: Vec<_> = routes.filter(|route| route.method.parent_service().full_name() == name).collect();
    let Some(first) = routes.first() else { return Err(Failure::NoSuchPage) };
    let service = first.method.parent_service();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:5050");
    let (comments, named, told) = (BTreeMap::new(), VecDeque::new(), Vec::new());
    let mut reader = Reader { known: known.clone(), comments, named, told };
    let said = reader.said(&service.parent_file(), service.path());
    let scheme = if client.is_secure { "https" } else { "http" };
    let site = example::Site { address: format!("{scheme}://{host}"), is_guarded: door.is_guarded() };
    let mut methods: Vec<Method> = Vec::new();
    for route in routes {
        let way = (route.binding.verb.to_string(), route.binding.template.to_string());
        match methods.last_mut().filter(|last| last.name == route.method.name()) {
            Some(last) => last.ways.push(way),
            None => methods.push(reader.method(route, way, &site)),
        }
    }
    let frame = Frame::behind(&visit, Nav::Elsewhere, service.name().to_owned());
    let name = service.full_name().to_owned();
    Ok(pages::page(StatusCode::OK, &Contract { frame, name, said, methods, things: reader.things() }))
}

struct Reader {
    known: Arc<Known>,
    comments: BTreeMap<String, Comments>,
    /// Kinds that were named, in the order in which they were.
    named: VecDeque<Named>,
    told: Vec<String>,
}

enum Named {
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

impl Reader {
    fn said(&mut self, file: &prost_reflect::FileDescriptor, path: &[i32]) -> Vec<Vec<Piece>> {
        let comments = self.comments.entry(file.name().to_owned()).or_insert_with(|| self.known.comments(file));
        comments::paragraphs(comments.at(path))
    }

    fn method(&mut self, route: &Route, way: (String, String), site: &example::Site) -> Method {
        let method = &route.method;
        Method {
            name: method.name().to_owned(),
            said: self.said(&method.parent_service().parent_file(), method.path()),
            ways: vec![way],
            role: route.need().1.name(),
            takes: self.message(method.input()),
            answers: self.message(method.output()),
            streams: method.is_server_streaming(),
            curl: example::curl(route, site),
            grpcurl: example::grpcurl(route),
        }
    }

    /// Tells of each kind that was named, and of those that it names.
    fn things(mut self) -> Vec<Thing> {
        let mut things = Vec::new();
        while let Some(named) = self.named.pop_front() {
            things.push(match named {
                Named::Message(message) => self.tell_message(&message),
                Named::Enum(kind) => self.tell_enum(&kind),
            });
        }
        things
    }

    fn tell_message(&mut self, message: &MessageDescriptor) -> Thing {
        let rows = message.fields().map(|field| Row {
            name: field.name().to_owned(),
            kind: self.kind(&field),
            said: self.said(&field.parent_file(), field.path()),
        });
        let rows = rows.collect();
        let said = self.said(&message.parent_file(), message.path());
        Thing { name: message.name().to_owned(), anchor: message.full_name().to_owned(), said, rows, is_enum: false }
    }

    fn tell_enum(&mut self, kind: &EnumDescriptor) -> Thing {
        let file = kind.parent_file();
        let rows = kind.values().map(|value| Row {
            name: value.name().to_owned(),
            kind: Link { text: value.number().to_string(), anchor: String::new() },
            said: self.said(&file, value.path()),
        });
        let rows = rows.collect();
        let said = self.said(&file, kind.path());
        Thing { name: kind.name().to_owned(), anchor: kind.full_name().to_owned(), said, rows, is_enum: true }
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Link {
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else { return Link { text: "map".into(), anchor: String::new() } };
            let value = self.plain_kind(&entry.map_entry_value_field().kind());
            return Link { text: format!("map to {}", value.text), anchor: value.anchor };
        }
        let one = self.plain_kind(&field.kind());
        if field.is_list() { Link { text: format!("list of {}", one.text), anchor: one.anchor } } else { one }
    }

    fn plain_kind(&mut self, kind: &Kind) -> Link {
        match kind {
            Kind::Message(message) if message.full_name().starts_with("google.protobuf.") => {
                Link { text: message.name().to_owned(), anchor: String::new() }
            }
            Kind::Message(message) => self.message(message.clone()),
            Kind::Enum(kind) => {
                self.name(kind.full_name(), || Named::Enum(kind.clone()));
                Link { text: kind.name().to_owned(), anchor: kind.full_name().to_owned() }
            }
            kind => Link { text: format!("{kind:?}").to_lowercase(), anchor: String::new() },
        }
    }

    fn message(&mut self, message: MessageDescriptor) -> Link {
        let link = Link { text: message.name().to_owned(), anchor: message.full_name().to_owned() };
        self.name(&link.anchor, || Named::Message(message));
        link
    }

    fn name(&mut self, name: &str, thing: impl FnOnce() -> Named) {
        if !self.told.iter().any(|told| told == name) {
            self.told.push(name.to_owned());
            self.named.push_back(thing());
        }
    }
}
