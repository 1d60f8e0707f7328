//! Messages as JSON Schema.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::gateway::{comments::Comments, contracts::Known};

/// The schemas that a document refers to, by the full names of their messages.
#[derive(Debug)]
pub(super) struct Schemas<'k> {
    known: &'k Known,
    done: BTreeMap<String, Value>,
    /// Comments by file: reading them is the work.
    comments: BTreeMap<String, Comments>,
}

impl<'k> Schemas<'k> {
    pub(super) fn of(known: &'k Known) -> Schemas<'k> {
        Schemas { known, done: BTreeMap::new(), comments: BTreeMap::new() }
    }

    /// All of them, and the one of problems.
    pub(super) fn finish(mut self) -> BTreeMap<String, Value> {
        self.done.insert("Problem".into(), problem());
        self.done
    }

    /// A message; it is put among the schemas and referred to.
    pub(super) fn of_message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(known) = well_known(message) {
            return known;
        }
        let name = message.full_name().to_owned();
        if !self.done.contains_key(&name) {
            // A message may contain itself.
            self.done.insert(name.clone(), Value::Null);
            let schema = self.object(message);
            self.done.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// What a field holds.
    pub(super) fn of_field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else { return json!({"type": "object"}) };
            let value = self.of_kind(&entry.map_entry_value_field().kind());
            return json!({"type": "object", "additionalProperties": value});
        }
        let one = self.of_kind(&field.kind());
        if field.is_list() { json!({"type": "array", "items": one}) } else { one }
    }

    fn of_kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Message(message) => self.of_message(message),
            Kind::Enum(kind) => self.of_enum(kind),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX})
            }
            // Texts, since readers of JSON round such numbers.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"})
            }
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}),
            Kind::Float | Kind::Double => json!({"anyOf": [{"type": "number"}, unbounded()]}),
        }
    }

    fn of_enum(&mut self, kind: &EnumDescriptor) -> Value {
        if kind.full_name() == "google.protobuf.NullValue" {
            return json!({"type": "null"});
        }
        let name = kind.full_name().to_owned();
        if !self.done.contains_key(&name) {
            let comments = self.comments(&kind.parent_file());
            let said = comments.at(kind.path());
            let values = kind.values().map(|value| format!("- `{}`: {}", value.name(), comments.at(value.path())));
            let description = format!("{said}\n\n{}", values.collect::<Vec<_>>().join("\n"));
            let names: Vec<String> = kind.values().map(|value| value.name().to_owned()).collect();
            let schema = json!({"type": "string", "enum": names, "description": description});
            self.done.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let mut properties = Map::new();
        for field in message.fields() {
            let mut schema = self.of_field(&field);
            let said = self.comments(&field.parent_file()).at(field.path()).to_owned();
            if !said.is_empty() {
                schema["description"] = said.into();
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        let said = self.comments(&message.parent_file()).at(message.path()).to_owned();
        json!({"type": "object", "description": said, "properties": properties, "additionalProperties": false})
    }

    /// What a file says of itself.
    pub(super) fn comments(&mut self, file: &FileDescriptor) -> &Comments {
        self.comments.entry(file.name().to_owned()).or_insert_with(|| self.known.comments(file))
    }
}

/// Messages that JSON writes in a way of their own.
fn well_known(message: &MessageDescriptor) -> Option<Value> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    Some(match name {
        "Timestamp" => json!({"type": "string", "format": "date-time"}),
        "Duration" => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$", "examples": ["1.5s"]}),
        "FieldMask" => json!({"type": "string", "description": "Names of fields, parted by commas."}),
        "Empty" => json!({"type": "object", "additionalProperties": false}),
        "Struct" => json!({"type": "object"}),
        "ListValue" => json!({"type": "array"}),
        "Value" => json!({}),
        "Any" => json!({"type": "object", "properties": {"@type": {"type": "string"}}}),
        "BoolValue" => json!({"type": ["boolean", "null"]}),
        "StringValue" | "BytesValue" | "Int64Value" | "UInt64Value" => json!({"type": ["string", "null"]}),
        "Int32Value" | "UInt32Value" => json!({"type": ["number", "null"]}),
        "DoubleValue" | "FloatValue" => json!({"anyOf": [{"type": ["number", "null"]}, unbounded()]}),
        _ => return None,
    })
}

/// Numbers that JSON has as texts only.
fn unbounded() -> Value {
    json!({"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]})
}

/// What goes wrong, as `problem.rs` writes it.
fn problem() -> Value {
    let text = |said: &str| json!({"type": "string", "description": said});
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457), with gRPC's code, reason and field violations.",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": text("Leads to what is written of the reason."),
            "title": text("What the status means."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": text("What happened, for people."),
            "instance": text("The page with the log of this request."),
            "code": text("gRPC's code, such as NOT_FOUND."),
            "reason": text("Why, for programs, such as SKU_TAKEN."),
            "domain": text("Whose reason it is."),
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "violations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "description"],
                    "properties": {"field": text("The field."), "description": text("What is wrong with it.")},
                },
            },
            "request_id": text("Names the request in the log."),
        },
    })
}
