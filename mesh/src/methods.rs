//! What the contracts say of methods: which way they stream, and whether they may be repeated.

use std::collections::HashMap;

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{DescriptorProto, FileDescriptorSet, MethodDescriptorProto};
use proto::mesh::MethodKind;

/// The field that makes a write repeatable (AIP-155).
const REQUEST_ID: &str = "request_id";

/// Methods by path, as `/package.Service/Method`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Methods(HashMap<String, Method>);

/// One method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) kind: MethodKind,
    pub(crate) repeatable: Repeatable,
}

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeatable {
    /// It would happen twice.
    Never,
    /// It has no side effects, or happening twice is the same as once.
    Always,
    /// When the request carries an id of its own in this field.
    WithId(u32),
}

impl Methods {
    /// Reads descriptor sets; one that cannot be read says nothing.
    pub(crate) fn read(sets: &[&[u8]]) -> Self {
        let files = sets.iter().filter_map(|set| FileDescriptorSet::decode(*set).ok()).flat_map(|set| set.file);
        let files: Vec<_> = files.collect();
        let messages: HashMap<String, &DescriptorProto> = files
            .iter()
            .flat_map(|file| file.message_type.iter().map(move |message| (file.package(), message)))
            .map(|(package, message)| (format!(".{package}.{}", message.name()), message))
            .collect();
        let mut methods = HashMap::new();
        for file in &files {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let request = messages.get(method.input_type()).copied();
                    methods.insert(path, Method { kind: kind(method), repeatable: repeatable(method, request) });
                }
            }
        }
        Self(methods)
    }

    /// A method, if it is known.
    pub(crate) fn get(&self, path: &str) -> Option<Method> {
        self.0.get(path).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Method)> {
        self.0.iter().map(|(path, method)| (path.as_str(), *method))
    }
}

fn kind(method: &MethodDescriptorProto) -> MethodKind {
    match (method.client_streaming(), method.server_streaming()) {
        (false, false) => MethodKind::Unary,
        (true, false) => MethodKind::ClientStream,
        (false, true) => MethodKind::ServerStream,
        (true, true) => MethodKind::BidiStream,
    }
}

fn repeatable(method: &MethodDescriptorProto, request: Option<&DescriptorProto>) -> Repeatable {
    if kind(method) != MethodKind::Unary {
        return Repeatable::Never;
    }
    match method.options.as_ref().map(|options| options.idempotency_level()) {
        Some(IdempotencyLevel::NoSideEffects) => Repeatable::Always,
        Some(IdempotencyLevel::Idempotent) => {
            let fields = request.map_or(&[][..], |request| &request.field);
            let id = fields.iter().find(|field| field.name() == REQUEST_ID && field.r#type() == Type::String);
            let number = id.and_then(|id| u32::try_from(id.number()).ok());
            number.map_or(Repeatable::Always, Repeatable::WithId)
        }
        _ => Repeatable::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_says_how_a_method_streams_and_whether_it_may_be_repeated() {
        let methods = Methods::read(&[proto::registry::DESCRIPTORS]);
        let method = |name: &str| methods.get(&format!("/rundoo.registry.v1.RegistryService/{name}")).unwrap();

        assert_eq!(method("Discover"), Method { kind: MethodKind::Unary, repeatable: Repeatable::Always });
        assert_eq!(method("Register").repeatable, Repeatable::Always, "idempotent without a request id");
        assert_eq!(method("Watch"), Method { kind: MethodKind::BidiStream, repeatable: Repeatable::Never });
        assert_eq!(methods.get("/rundoo.registry.v1.RegistryService/Nonsense"), None);
    }

    #[test]
    fn a_write_with_a_request_id_is_repeatable_by_it() {
        let field = prost_types::FieldDescriptorProto {
            name: Some(REQUEST_ID.to_owned()),
            number: Some(4),
            r#type: Some(Type::String.into()),
            ..Default::default()
        };
        let request = DescriptorProto { name: Some("Write".to_owned()), field: vec![field], ..Default::default() };
        let mut options = prost_types::MethodOptions::default();
        options.set_idempotency_level(IdempotencyLevel::Idempotent);
        let method = MethodDescriptorProto { options: Some(options), ..Default::default() };

        assert_eq!(repeatable(&method, Some(&request)), Repeatable::WithId(4));
        assert_eq!(repeatable(&MethodDescriptorProto::default(), Some(&request)), Repeatable::Never);
    }
}
