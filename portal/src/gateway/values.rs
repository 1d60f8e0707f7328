//! Whether a value fits a kind of field to its last digit: one that would be changed on the way is refused.

use std::ops::RangeInclusive;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value as Json;

use crate::gateway::fields;

/// From here on a number of 64 bits with a point may stand for a neighbour of the one that was written.
const ROUNDED: f64 = 9_007_199_254_740_992.0;

/// What JSON has in a place, as far as a field of one value cares.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'t> {
    Truth,
    Whole(i128),
    /// One with a point or an exponent, or one that has more than 64 bits.
    Number(f64),
    Text(&'t str),
    /// An object or a list.
    Parts,
}

/// What is wrong with a value of this kind, in words.
pub(super) fn judge(kind: &Kind, value: Value<'_>) -> Result<(), String> {
    let is_one = |is_one: bool, what: &str| if is_one { Ok(()) } else { Err(format!("it is not {what}")) };
    match kind {
        Kind::String => is_one(matches!(value, Value::Text(_)), "a text"),
        Kind::Bool => is_one(matches!(value, Value::Truth), "true or false"),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            is_one(is_whole(value, i32::MIN.into()..=i32::MAX.into()), "a whole number of 32 bits")
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            is_one(is_whole(value, i64::MIN.into()..=i64::MAX.into()), "a whole number of 64 bits")
        }
        Kind::Uint32 | Kind::Fixed32 => {
            is_one(is_whole(value, 0..=u32::MAX.into()), "a whole number of 32 bits, 0 or more")
        }
        Kind::Uint64 | Kind::Fixed64 => {
            is_one(is_whole(value, 0..=u64::MAX.into()), "a whole number of 64 bits, 0 or more")
        }
        Kind::Float => is_one(is_single(value), "a number of 32 bits"),
        Kind::Double => is_one(is_double(value), "a number"),
        Kind::Bytes => is_one(matches!(value, Value::Text(text) if fields::bytes(text).is_ok()), "base64"),
        Kind::Enum(kind) => match value {
            Value::Text(text) if kind.get_value_by_name(text).is_some() => Ok(()),
            // Others may know more of them.
            Value::Whole(number) if i32::try_from(number).is_ok() => Ok(()),
            _ => {
                let names: Vec<String> = kind.values().map(|value| value.name().to_owned()).collect();
                Err(format!("it is none of {}", names.join(", ")))
            }
        },
        Kind::Message(message) => match (wrapped(message), value) {
            (Some(field), value) => judge(&field.kind(), value),
            (None, Value::Text(text)) => {
                let read = DynamicMessage::deserialize(message.clone(), Json::String(text.to_owned()));
                is_one(read.is_ok(), &format!("a {}", message.name()))
            }
            (None, _) => is_one(false, &format!("a {}", message.name())),
        },
    }
}

/// What a message of `google/protobuf/wrappers.proto` is around.
pub(super) fn wrapped(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let is_wrapper = message.full_name().starts_with("google.protobuf.") && message.name().ends_with("Value");
    let mut fields = message.fields();
    match (is_wrapper, fields.next(), fields.next()) {
        (true, Some(value), None) if value.name() == "value" => Some(value),
        _ => None,
    }
}

fn is_whole(value: Value<'_>, range: RangeInclusive<i128>) -> bool {
    let number = match value {
        Value::Whole(number) => Some(number),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < ROUNDED => Some(number as i128),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    number.is_some_and(|number| range.contains(&number))
}

fn is_single(value: Value<'_>) -> bool {
    match value {
        Value::Whole(_) => true,
        Value::Number(number) => number.abs() <= f32::MAX.into(),
        Value::Text(text) => single(text).is_some(),
        _ => false,
    }
}

fn is_double(value: Value<'_>) -> bool {
    match value {
        Value::Whole(_) | Value::Number(_) => true,
        Value::Text(text) => double(text).is_some(),
        _ => false,
    }
}

/// A number of 64 bits; infinity only where it is spelled out.
pub(super) fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// The same of 32 bits.
pub(super) fn single(text: &str) -> Option<f32> {
    match text {
        "NaN" => Some(f32::NAN),
        "Infinity" => Some(f32::INFINITY),
        "-Infinity" => Some(f32::NEG_INFINITY),
        text => text.parse().ok().filter(|number: &f32| number.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::written;

    #[test]
    fn infinity_is_what_is_spelled_so() {
        assert_eq!((double("Infinity"), single("-Infinity")), (Some(f64::INFINITY), Some(f32::NEG_INFINITY)));
        assert!(double("NaN").is_some_and(f64::is_nan) && double("-1.5e3") == Some(-1500.0));
        for text in ["inf", "-inf", "+Infinity", "infinity", "nan", "1e400", "", "x"] {
            assert!(double(text).is_none() && single(text).is_none(), "{text}");
        }
        assert_eq!((double("1e39"), single("1e39")), (Some(1e39), None));
    }

    #[test]
    fn a_number_is_exact_or_none() {
        let fits = |name: &str, value| judge(&written::all().get_field_by_name(name).unwrap().kind(), value).is_ok();
        let cases = [
            ("large", Value::Whole(i64::MIN.into()), true),
            ("large", Value::Number(1e3), true),
            ("large", Value::Number(9_007_199_254_740_991.0), true),
            ("large", Value::Number(9_007_199_254_740_992.0), false),
            ("large", Value::Number(-9_223_372_036_854_775_808.0), false),
            ("large", Value::Number(0.5), false),
            ("large", Value::Text("-9223372036854775809"), false),
            ("large_unsigned", Value::Whole(u64::MAX.into()), true),
            ("large_unsigned", Value::Number(18_446_744_073_709_551_616.0), false),
            ("large_unsigned", Value::Whole(-1), false),
            ("wrapped_large", Value::Number(18_446_744_073_709_551_616.0), false),
            ("wrapped_large", Value::Text("18446744073709551615"), true),
            ("small", Value::Number(2_147_483_648.0), false),
            ("small", Value::Text("2147483647"), true),
            ("single", Value::Number(1e39), false),
            ("twice", Value::Text("1e400"), false),
            ("wrapped", Value::Text("inf"), false),
            ("wrapped", Value::Text("Infinity"), true),
            ("text", Value::Whole(7), false),
            ("truth", Value::Text("true"), false),
            ("raw", Value::Text("?"), false),
            ("colour", Value::Text("COLOUR_RED"), true),
            ("colour", Value::Text("COLOUR_BLUE"), false),
            ("colour", Value::Whole(7), true),
            ("time", Value::Text("2026-11-30T00:00:00Z"), true),
            ("time", Value::Text("yesterday"), false),
            ("time", Value::Parts, false),
        ];
        for (name, value, expected) in cases {
            assert_eq!(fits(name, value), expected, "{name} {value:?}");
        }
    }
}
