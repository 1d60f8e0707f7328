//! A method as the gateway offers it: where it is, who answers, and what its messages mean in HTTP.

use http::uri::PathAndQuery;
use mesh::Channel;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use tonic::Status;

use crate::{
    door::{Area, Role},
    gateway::{
        Problem,
        json::{self, Tables},
        rule::Binding,
        version,
    },
};

/// Contracts that say how Rundoo itself runs: only for administrators.
const INTERNAL: [&str; 2] = ["rundoo.registry.", "rundoo.mesh."];

/// A service of this name, whatever its package, is for administrators too.
const ADMINISTRATION: &str = "AdminService";

/// One way to call one method of one service, as that service's contract has it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: MethodDescriptor,
    pub(crate) binding: Binding,
    /// Who answers.
    pub(crate) owner: Owner,
    /// Where the method is in gRPC: `/rundoo.products.v1.ProductService/GetProduct`.
    pub(crate) path: PathAndQuery,
    sent: Sent,
    pub(crate) headers: Headers,
}

/// What of an answer is sent.
#[derive(Debug)]
enum Sent {
    Whole(Tables),
    /// A message in it.
    Message(FieldDescriptor, Tables),
    /// A field that is a list, a map, or one value.
    Field(FieldDescriptor),
}

/// A service of the mesh that offers a method.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) service: String,
    pub(crate) channel: Channel,
}

/// Fields that HTTP has headers for.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    /// Of the request: makes it happen once. `Idempotency-Key`.
    pub(crate) request_id: Option<FieldDescriptor>,
    /// Of the request: which version is meant. `If-Match`.
    pub(crate) expected: Option<FieldDescriptor>,
    /// Where in the answer the version stands: its field, or that of a message in it. `ETag`.
    pub(crate) version: Vec<FieldDescriptor>,
    /// Of the request of a PATCH: what the body named.
    pub(crate) mask: Option<FieldDescriptor>,
}

impl Route {
    pub(crate) fn new(method: MethodDescriptor, binding: Binding, owner: Owner) -> Result<Route, String> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path = PathAndQuery::try_from(path).map_err(|_| "the name of the method is no path".to_owned())?;
        let sent = Sent::of(&method, &binding);
        let headers = Headers::of(&method, &binding);
        Ok(Route { sent, path, headers, method, binding, owner })
    }

    /// Who may call it, where.
    pub(crate) fn need(&self) -> (Area, Role) {
        let service = self.method.parent_service();
        if service.name() == ADMINISTRATION || INTERNAL.iter().any(|package| service.full_name().starts_with(package)) {
            return (Area::Running, Role::Administrator);
        }
        let area = if service.full_name().starts_with("rundoo.logs.") { Area::Running } else { Area::Products };
        let role = match (self.is_read(), area) {
            (true, _) => Role::Viewer,
            (false, Area::Products) => Role::Editor,
            (false, Area::Running) => Role::Administrator,
        };
        (area, role)
    }

    /// Whether its contract says that it changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        use prost_types::{MethodOptions, method_options::IdempotencyLevel};

        let options = self.method.method_descriptor_proto().options.as_ref();
        options.map(MethodOptions::idempotency_level) == Some(IdempotencyLevel::NoSideEffects)
    }

    /// Writes an answer as JSON, or the part of it that the annotation names.
    pub(crate) fn write(&self, answer: &[u8], json: &mut Vec<u8>) -> Result<(), Problem> {
        let written = match &self.sent {
            Sent::Whole(tables) => tables.write(answer, json),
            Sent::Message(field, tables) => tables.write(version::message(field, answer), json),
            Sent::Field(field) => json::field(field, answer, json),
        };
        written.map_err(|cause| {
            tracing::error!("{cause}");
            Problem::of(&Status::internal("the service's answer could not be read"), false)
        })
    }
}

impl Sent {
    fn of(method: &MethodDescriptor, binding: &Binding) -> Sent {
        let Some(field) = &binding.answer else { return Sent::Whole(Tables::of(&method.output())) };
        match field.kind() {
            // Those of protobuf itself are not written by their fields.
            Kind::Message(message)
                if !field.is_list() && !field.is_map() && !message.full_name().starts_with("google.protobuf.") =>
            {
                Sent::Message(field.clone(), Tables::of(&message))
            }
            _ => Sent::Field(field.clone()),
        }
    }
}

impl Headers {
    fn of(method: &MethodDescriptor, binding: &Binding) -> Headers {
        let (input, output) = (method.input(), method.output());
        let free = |name: &str| text(&input, name).filter(|_| !binding.template.fields().any(|field| field == name));
        let is_patch = binding.verb == http::Method::PATCH;
        let mask = input.get_field_by_name("update_mask").filter(|field| is_patch && is_mask(field));
        let version = if method.is_server_streaming() { Vec::new() } else { version(&output) };
        Headers { request_id: free("request_id"), expected: free("etag"), version, mask }
    }
}

fn text(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).filter(|field| field.kind() == Kind::String && !field.is_list())
}

fn is_mask(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.FieldMask")
}

/// The way to the one version of an answer: its own, or that of the only thing that it is about.
fn version(output: &MessageDescriptor) -> Vec<FieldDescriptor> {
    if let Some(own) = text(output, "etag") {
        return vec![own];
    }
    let inner = output.fields().filter(|field| !field.is_list() && !field.is_map()).filter_map(|field| {
        let Kind::Message(message) = field.kind() else { return None };
        Some(vec![field, text(&message, "etag")?])
    });
    let mut inner: Vec<_> = inner.collect();
    if inner.len() == 1 { inner.remove(0) } else { Vec::new() }
}
