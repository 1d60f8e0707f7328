//! What a JSON value is to become, by the contract.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::gateway::{
    fields,
    values::{self, Value},
};

/// What a JSON value is to become.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Both spellings of a field are its name.
    Message(MessageDescriptor),
    /// A map, whose keys are what they are.
    Entries(Kind, Box<Shape>),
    List(Box<Shape>),
    /// One text, number or truth.
    Plain(Kind),
    /// An object or a list of anything: what is protobuf's own and written in a way of its own.
    Object,
    Array,
    Anything,
}

impl Shape {
    pub(super) fn of(field: &FieldDescriptor) -> Shape {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = Shape::of_one(&entry.map_entry_value_field().kind());
                Shape::Entries(entry.map_entry_key_field().kind(), Box::new(value))
            }
            kind if field.is_list() => Shape::List(Box::new(Shape::of_one(&kind))),
            kind => Shape::of_one(&kind),
        }
    }

    pub(super) fn of_one(kind: &Kind) -> Shape {
        match kind {
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Value" => Shape::Anything,
                "google.protobuf.Struct" | "google.protobuf.Any" | "google.protobuf.Empty" => Shape::Object,
                "google.protobuf.ListValue" => Shape::Array,
                _ if fields::is_plain(kind) => Shape::Plain(kind.clone()),
                _ => Shape::Message(message.clone()),
            },
            // Of its one value null is the name.
            Kind::Enum(kind) if kind.full_name() == "google.protobuf.NullValue" => Shape::Anything,
            _ => Shape::Plain(kind.clone()),
        }
    }

    /// What is wrong with a value that is no object and no list, or is one where it should not be.
    pub(super) fn judge(&self, value: Value<'_>) -> Result<(), String> {
        match self {
            Shape::Message(_) | Shape::Entries(..) | Shape::Object => Err("it is not an object".to_owned()),
            Shape::List(_) | Shape::Array => Err("it is not a list".to_owned()),
            Shape::Plain(kind) => values::judge(kind, value),
            Shape::Anything => Ok(()),
        }
    }

    /// What becomes of the value of a name, and which field it is; nothing where there may be no such name.
    pub(super) fn inside(&self, name: &str) -> Option<(Shape, Option<FieldDescriptor>)> {
        match self {
            Shape::Message(message) => match fields::named(message, name) {
                Some(field) => Some((Shape::of(&field), Some(field))),
                None => message.get_extension_by_json_name(name).map(|_| (Shape::Anything, None)),
            },
            Shape::Entries(_, value) => Some((Shape::clone(value), None)),
            _ => Some((Shape::Anything, None)),
        }
    }

    /// Whether a name may be one of a map's, if it is a map.
    pub(super) fn has_key(&self, text: &str) -> bool {
        match self {
            Shape::Entries(Kind::Bool, _) => matches!(text, "true" | "false"),
            Shape::Entries(kind, _) => values::judge(kind, Value::Text(text)).is_ok(),
            _ => true,
        }
    }
}
