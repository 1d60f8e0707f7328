//! What there is to be called: rendered from the contracts' own comments.

pub(crate) mod contract;
pub(crate) mod problems;

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    door::Door,
    frame::{Frame, Nav},
    gateway::{
        Gateway,
        comments::{self, Comments},
        contracts::Known,
        places::Place,
        route::Route,
    },
    pages,
    visit::Visit,
};

/// A gRPC service with the methods of it that the gateway offers.
struct Service {
    name: String,
    href: String,
    summary: String,
    methods: Vec<Method>,
}

/// One way to call a method.
struct Method {
    name: String,
    href: String,
    verb: String,
    path: String,
    summary: String,
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    frame: Frame,
    services: Vec<Service>,
}

pub(crate) async fn show(State(gateway): State<Gateway>, visit: Visit) -> Response {
    let frame = Frame::behind(&visit, Nav::Elsewhere, "Docs");
    pages::page(StatusCode::OK, &Docs { frame, services: services(&gateway.contracts.known()) })
}

/// The document for programs.
pub(crate) async fn document(State(gateway): State<Gateway>, State(door): State<Door>) -> Response {
    let document = gateway.contracts.known().document(door.is_guarded());
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response()
}

fn services(known: &Known) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    let mut files = BTreeMap::new();
    for route in known.places().into_iter().map(Place::first) {
        let service = route.method.parent_service();
        let file = service.parent_file();
        let comments = files.entry(file.name().to_owned()).or_insert_with(|| known.comments(&file));
        if services.last().is_none_or(|last| last.name != service.full_name()) {
            services.push(Service {
                name: service.full_name().to_owned(),
                href: contract_link(service.full_name()),
                summary: comments::summary(comments.at(service.path())),
                methods: Vec::new(),
            });
        }
        if let Some(last) = services.last_mut() {
            last.methods.push(Method::of(route, comments));
        }
    }
    services
}

impl Method {
    fn of(route: &Route, comments: &Comments) -> Method {
        let service = route.method.parent_service();
        let name = route.method.name();
        Method {
            href: format!("{}#{name}", contract_link(service.full_name())),
            name: name.to_owned(),
            verb: route.binding.verb.to_string(),
            path: route.binding.template.to_string(),
            summary: comments::summary(comments.at(route.method.path())),
        }
    }
}

/// The page of a gRPC service.
fn contract_link(service: &str) -> String {
    format!("/docs/{service}")
}
