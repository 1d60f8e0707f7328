//! Fields that a JSON object names twice, in one spelling or in both: readers disagree which one counts, so none does.

use std::{collections::HashSet, fmt};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::gateway::fields;

/// A field that an object names.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) field: FieldDescriptor,
    /// Which is to say that it has no value.
    pub(super) is_null: bool,
    /// What it names in turn, if it is a message.
    pub(super) inside: Vec<Named>,
}

/// The fields that an object names which is to be read as such a message; an error where one is named twice.
pub(super) fn named(message: MessageDescriptor, json: &[u8]) -> serde_json::Result<Vec<Named>> {
    let fields = Shape::Message(message).deserialize(&mut serde_json::Deserializer::from_slice(json))?;
    Ok(fields.unwrap_or_default())
}

/// What a JSON value is to become.
#[derive(Debug, Clone)]
enum Shape {
    /// A message, or a list of them: both spellings of a field are its name.
    Message(MessageDescriptor),
    /// A map, whose keys are what they are, of these.
    Entries(Box<Shape>),
    /// What names no fields.
    Other,
}

/// A name in an object.
#[derive(PartialEq, Eq, Hash)]
enum Name {
    Field(u32),
    Text(String),
}

impl Shape {
    fn of(field: &FieldDescriptor) -> Shape {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                Shape::Entries(Box::new(Shape::of(&entry.map_entry_value_field())))
            }
            // Those of protobuf itself are written in ways of their own.
            Kind::Message(message) if !message.full_name().starts_with("google.protobuf.") => Shape::Message(message),
            _ => Shape::Other,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Shape {
    /// None is null.
    type Value = Option<Vec<Named>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = Option<Vec<Named>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let (mut names, mut fields) = (HashSet::new(), Vec::new());
        while let Some(text) = object.next_key::<String>()? {
            let field = match &self {
                Shape::Message(message) => fields::named(message, &text),
                _ => None,
            };
            let shape = match (&self, &field) {
                (_, Some(field)) => Shape::of(field),
                (Shape::Entries(value), None) => Shape::clone(value),
                _ => Shape::Other,
            };
            let inside = object.next_value_seed(shape)?;
            let name = field.as_ref().map_or_else(|| Name::Text(text.clone()), |field| Name::Field(field.number()));
            if !names.insert(name) {
                return Err(A::Error::custom(format_args!("{text:?} is there twice")));
            }
            let is_null = inside.is_none();
            fields.extend(field.map(|field| Named { field, is_null, inside: inside.unwrap_or_default() }));
        }
        Ok(Some(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element_seed(self.clone())?.is_some() {}
        Ok(Some(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Some(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Some(Vec::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Some(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Some(Vec::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Some(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn named_in(message: &str, json: &str) -> Option<Vec<String>> {
        let fields = named(contract::message(message).unwrap(), json.as_bytes()).ok()?;
        Some(fields.iter().map(|named| named.field.name().to_owned()).collect())
    }

    #[test]
    fn a_field_counts_once_in_each_object_in_either_spelling() {
        let list = |json| named_in("rundoo.products.v1.ListProductsRequest", json);
        assert_eq!(list(r#"{"pageSize":1,"filter":null}"#).unwrap(), ["page_size", "filter"]);
        for twice in [
            r#"{"pageSize":1,"pageSize":2}"#,
            r#"{"pageSize":1,"page_size":2}"#,
            r#"{"nobody knows":1,"nobody knows":2}"#,
            r#"{"nobody":[{"y":{"a_b":1,"a_b":1}}]}"#,
        ] {
            assert_eq!(list(twice), None, "{twice}");
        }
        let stored = |json| named_in("rundoo.logs.v1.StoredRecord", json);
        assert_eq!(stored(r#"{"record":{"requestId":"x","request_id":"y"}}"#), None, "inside of a message too");
    }

    #[test]
    fn keys_of_a_map_are_no_fields() {
        let register = |json| named_in("rundoo.registry.v1.RegisterRequest", json);
        assert!(register(r#"{"metadata":{"a_b":"1","aB":"2"}}"#).is_some());
        assert_eq!(register(r#"{"metadata":{"a_b":"1","a_b":"2"}}"#), None);
    }
}
