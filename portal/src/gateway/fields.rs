//! Fields of a request that a path or a query fills: each is a text, and named by its path.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::Value as Json;

use crate::gateway::values;

/// What is wrong with a field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) field: String,
    pub(crate) description: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, description: impl Into<String>) -> Violation {
        Violation { field: field.into(), description: description.into() }
    }
}

/// Errors of one request that are told.
pub(crate) const MOST_VIOLATIONS: usize = 20;

/// Messages that JSON writes as one text or number, so that a query can have them.
const PLAIN_MESSAGES: [&str; 12] = [
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int64Value",
    "google.protobuf.UInt64Value",
    "google.protobuf.Int32Value",
    "google.protobuf.UInt32Value",
    "google.protobuf.BoolValue",
    "google.protobuf.StringValue",
    "google.protobuf.BytesValue",
];

/// The field of this name, as the contract or as JSON spells it.
pub(crate) fn named(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

/// Whether JSON writes a field of this kind as one text, number or truth.
pub(crate) fn is_plain(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => PLAIN_MESSAGES.contains(&message.full_name()),
        _ => true,
    }
}

/// What is wrong with a field that can have one value only.
pub(crate) const TWICE: &str = "it is set twice, or beside another that excludes it";

/// How deep a field may be named. What is deeper no service reads, and to write it would take the stack.
const DEEPEST: usize = 100;

/// The fields on the way to the one at a path, which is the last; none when there is no such field.
pub(crate) fn way(message: &MessageDescriptor, path: &str) -> Vec<FieldDescriptor> {
    let (mut way, mut inside) = (Vec::new(), Some(message.clone()));
    for name in path.split('.') {
        let Some(field) = inside.as_ref().and_then(|inside| named(inside, name)) else { return Vec::new() };
        if way.len() == DEEPEST {
            return Vec::new();
        }
        inside = match field.kind() {
            Kind::Message(message) if !field.is_list() && !field.is_map() => Some(message),
            _ => None,
        };
        way.push(field);
    }
    way
}

/// The value at the end of a way.
pub(crate) fn at(message: &DynamicMessage, way: &[FieldDescriptor]) -> Option<Value> {
    let (first, rest) = way.split_first()?;
    let value = message.get_field(first);
    if rest.is_empty() { Some(value.into_owned()) } else { at(value.as_message()?, rest) }
}

/// Sets the field at the end of the way of a path, such as `filter.name`; one that is a list gets another element.
pub(crate) fn set(
    message: &mut DynamicMessage,
    (path, way): (&str, &[FieldDescriptor]),
    text: &str,
) -> Result<(), Violation> {
    let unknown = || Violation::new(path, "there is no such field");
    let (field, outside) = way.split_last().ok_or_else(unknown)?;
    let mut message = message;
    for field in outside {
        if is_excluded(message, field) {
            return Err(Violation::new(path, TWICE));
        }
        let Value::Message(inner) = message.get_field_mut(field) else { return Err(unknown()) };
        message = inner;
    }
    if field.is_map() || !is_plain(&field.kind()) {
        return Err(Violation::new(path, "it is a message: name one of its fields, or send it in a body"));
    }
    let value = value(&field.kind(), text).map_err(|description| Violation::new(path, description))?;
    if field.is_list() {
        let Value::List(list) = message.get_field_mut(field) else { return Err(unknown()) };
        list.push(value);
    } else {
        if is_excluded(message, field) || message.has_field(field) {
            return Err(Violation::new(path, TWICE));
        }
        message.set_field(field, value);
    }
    Ok(())
}

/// Whether another field is set that excludes this one: to set both would lose what was said first.
fn is_excluded(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    let Some(oneof) = field.containing_oneof() else { return false };
    oneof.fields().any(|other| other != *field && message.has_field(&other))
}

fn value(kind: &Kind, text: &str) -> Result<Value, String> {
    fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
        text.parse().map_err(|_| format!("{text:?} is not {what}"))
    }
    let no_number = || format!("{text:?} is not a number");
    Ok(match kind {
        Kind::String => Value::String(text.to_owned()),
        Kind::Bool => Value::Bool(number(text, "true or false")?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number(text, "a whole number of 32 bits")?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number(text, "a whole number of 64 bits")?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number(text, "a whole number of 32 bits, 0 or more")?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number(text, "a whole number of 64 bits, 0 or more")?),
        Kind::Float => Value::F32(values::single(text).ok_or_else(no_number)?),
        Kind::Double => Value::F64(values::double(text).ok_or_else(no_number)?),
        Kind::Bytes => Value::Bytes(bytes(text)?.into()),
        Kind::Enum(kind) => {
            let named = kind.get_value_by_name(text).map(|value| value.number());
            let number = named.or_else(|| text.parse().ok().filter(|number| kind.get_value(*number).is_some()));
            Value::EnumNumber(number.ok_or_else(|| {
                let names: Vec<String> = kind.values().map(|value| value.name().to_owned()).collect();
                format!("{text:?} is none of {}", names.join(", "))
            })?)
        }
        Kind::Message(kind) => {
            if let Some(field) = values::wrapped(kind) {
                let mut wrapper = DynamicMessage::new(kind.clone());
                wrapper.set_field(&field, value(&field.kind(), text)?);
                return Ok(Value::Message(wrapper));
            }
            let read = DynamicMessage::deserialize(kind.clone(), Json::String(text.to_owned()));
            Value::Message(read.map_err(|_| format!("{text:?} is not a {}", kind.name()))?)
        }
    })
}

/// Base64 of either alphabet, padded or not, as proto3's JSON takes it.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = text.replace('-', "+").replace('_', "/");
    GeneralPurpose::new(&base64::alphabet::STANDARD, config)
        .decode(&text)
        .map_err(|_| format!("{text:?} is not base64"))
}

#[cfg(test)]
mod tests {
    use prost_reflect::ReflectMessage as _;

    use super::*;
    use crate::{contract, gateway::written};

    fn set(message: &mut DynamicMessage, path: &str, text: &str) -> Result<(), Violation> {
        let way = way(&message.descriptor(), path);
        super::set(message, (path, &way), text)
    }

    fn message(name: &str) -> DynamicMessage {
        DynamicMessage::new(contract::message(name).unwrap())
    }

    fn list_products() -> DynamicMessage {
        message("rundoo.products.v1.ListProductsRequest")
    }

    #[test]
    fn texts_become_what_the_contract_says() {
        let mut request = list_products();
        for (path, text) in
            [("page_size", "3"), ("pageToken", "x"), ("filter", "category = \"a\""), ("show_deleted", "true")]
        {
            set(&mut request, path, text).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        }
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"pageSize":3,"pageToken":"x","filter":"category = \"a\"","showDeleted":true}"#
        );

        let mut update = message("rundoo.products.v1.UpdateProductRequest");
        set(&mut update, "update_mask", "name,sku").unwrap();
        set(&mut update, "id", "9007199254740993").unwrap();
        assert_eq!(serde_json::to_string(&update).unwrap(), r#"{"id":"9007199254740993","updateMask":"name,sku"}"#);
    }

    #[test]
    fn a_way_leads_through_messages_only() {
        let record = contract::message("rundoo.logs.v1.StoredRecord").unwrap();
        assert_eq!(way(&record, "record.requestId").len(), 2);
        assert!(way(&record, "record.requestId.x").is_empty() && way(&record, "").is_empty());
        assert!(way(&record, "record.fields.name").is_empty(), "a list has no fields");
    }

    #[test]
    fn what_does_not_fit_is_told_by_field() {
        let mut request = list_products();
        set(&mut request, "page_size", "1").unwrap();
        for (path, text, wrong) in [
            ("page_size", "x", "is not a whole number of 32 bits"),
            ("page_size", "2", "it is set twice"),
            ("nonsense", "x", "there is no such field"),
            ("page_size.x", "x", "there is no such field"),
            ("show_deleted", "yes", "is not true or false"),
        ] {
            let violation = set(&mut request, path, text).unwrap_err();
            assert_eq!(violation.field, path);
            assert!(violation.description.contains(wrong), "{path}: {}", violation.description);
        }
    }

    #[test]
    fn a_choice_of_messages_keeps_what_was_said_first() {
        let mut request = written::empty();
        set(&mut request, "left.number", "0").unwrap();
        set(&mut request, "left.text", "x").unwrap();
        let violation = set(&mut request, "right.number", "2").unwrap_err();
        assert_eq!((violation.field.as_str(), violation.description.as_str()), ("right.number", TWICE));
        assert!(set(&mut request, "neither", "NULL_VALUE").is_err());
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"left":{"text":"x"}}"#);
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_and_not_changed() {
        for (path, texts) in [
            ("twice", ["1e400", "inf", "nan"]),
            ("single", ["1e39", "-inf", "infinity"]),
            ("wrapped", ["1e400", "inf", "NAN"]),
            ("wrapped_large", ["18446744073709551616", "-1", "1.0"]),
            ("large", ["-9223372036854775809", "1e3", ""]),
        ] {
            for text in texts {
                assert_eq!(set(&mut written::empty(), path, text).unwrap_err().field, path, "{text}");
            }
        }
        let mut request = written::empty();
        for (path, text) in [("twice", "-Infinity"), ("wrapped", "NaN"), ("wrapped_large", "18446744073709551615")] {
            set(&mut request, path, text).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        }
    }
}
