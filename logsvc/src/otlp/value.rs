//! Values of OTLP as text of a kind, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proto::logs::field::Kind;
use proto::otlp::common::any_value::Value;
use proto::otlp::common::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use serde_json::{Map, Number, Value as Json};

/// A value as text, and what kind of text it is.
pub(super) fn to_text(value: Option<Value>) -> (String, Kind) {
    match value {
        Some(Value::StringValue(words)) => (words, Kind::Unspecified),
        Some(Value::BoolValue(boolean)) => (boolean.to_string(), Kind::Boolean),
        Some(Value::IntValue(number)) => (number.to_string(), Kind::Integer),
        // Debug is the shortest text that reads as the same number, and says that it is no integer.
        Some(Value::DoubleValue(number)) => (format!("{number:?}"), Kind::Float),
        Some(Value::BytesValue(bytes)) => (BASE64.encode(bytes), Kind::Bytes),
        nested => (to_json(nested).to_string(), Kind::Json),
    }
}

/// The value that a text stands for; words when it is not of its kind after all, because it was cut for example.
pub(super) fn from_text(text: &str, kind: Kind) -> AnyValue {
    let value = match kind {
        Kind::Unspecified => None,
        Kind::Boolean => text.parse().ok().map(Value::BoolValue),
        Kind::Integer => text.parse().ok().map(Value::IntValue),
        Kind::Float => text.parse().ok().map(Value::DoubleValue),
        Kind::Bytes => BASE64.decode(text).ok().map(Value::BytesValue),
        Kind::Json => match serde_json::from_str(text) {
            Ok(json) => return AnyValue { value: from_json(json) },
            Err(_) => None,
        },
    };
    AnyValue { value: Some(value.unwrap_or_else(|| Value::StringValue(text.to_owned()))) }
}

/// Words, as a value.
pub(super) fn words(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

/// Bytes in hexadecimal; empty for what is no id: of another length, or nothing but zeros.
pub(super) fn to_hex(id: &[u8], length: usize) -> String {
    use std::fmt::Write as _;
    let mut hex = String::new();
    if id.len() == length && id.iter().any(|byte| *byte != 0) {
        for byte in id {
            let _never_fails = write!(hex, "{byte:02x}");
        }
    }
    hex
}

/// The bytes of an id in hexadecimal; none for what is no id.
pub(super) fn from_hex(hex: &str, length: usize) -> Vec<u8> {
    if hex.len() != 2 * length || !hex.is_ascii() {
        return Vec::new();
    }
    let bytes: Option<Vec<u8>> =
        (0..length).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    bytes.unwrap_or_default()
}

/// As OTLP's own JSON has it, without saying of each value what it is: bytes are base64 then, as words.
fn to_json(value: Option<Value>) -> Json {
    match value {
        None => Json::Null,
        Some(Value::StringValue(words)) => Json::String(words),
        Some(Value::BoolValue(boolean)) => Json::Bool(boolean),
        Some(Value::IntValue(number)) => Json::Number(number.into()),
        Some(Value::DoubleValue(number)) => {
            Number::from_f64(number).map_or_else(|| Json::String(format!("{number:?}")), Json::Number)
        }
        Some(Value::BytesValue(bytes)) => Json::String(BASE64.encode(bytes)),
        Some(Value::ArrayValue(list)) => list.values.into_iter().map(|item| to_json(item.value)).collect(),
        Some(Value::KvlistValue(map)) => {
            let pairs = map.values.into_iter().map(|pair| (pair.key, to_json(pair.value.and_then(|any| any.value))));
            Json::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

fn from_json(json: Json) -> Option<Value> {
    let any = |json| AnyValue { value: from_json(json) };
    Some(match json {
        Json::Null => return None,
        Json::Bool(boolean) => Value::BoolValue(boolean),
        Json::String(words) => Value::StringValue(words),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::IntValue(whole),
            None => Value::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::Array(items) => Value::ArrayValue(ArrayValue { values: items.into_iter().map(any).collect() }),
        Json::Object(pairs) => {
            let pairs = pairs.into_iter().map(|(key, json)| KeyValue { key, value: Some(any(json)) });
            Value::KvlistValue(KeyValueList { values: pairs.collect() })
        }
    })
}
