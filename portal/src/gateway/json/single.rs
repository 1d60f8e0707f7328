//! One field of a message as JSON, where that is all that is sent: `response_body`.

use prost_reflect::{DynamicMessage, FieldDescriptor, SerializeOptions};

use crate::gateway::json::{Malformed, Tables, decoded};
use prost::Message as _;

/// Appends the JSON of a field of an encoded message; what is not there is null, or what it is by default.
pub(crate) fn field(field: &FieldDescriptor, message: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let kind = field.parent_message();
    let message = decoded(kind, message)?;
    let mut alone = DynamicMessage::new(kind.clone());
    if !message.has_field(field) {
        let options = SerializeOptions::new().skip_default_fields(false);
        let all = alone.serialize_with_options(serde_json::value::Serializer, &options);
        let mut all = all.map_err(|cause| Malformed(cause.to_string()))?;
        let default = all.get_mut(field.json_name()).map(serde_json::Value::take).unwrap_or_default();
        out.extend_from_slice(default.to_string().as_bytes());
        return Ok(());
    }
    alone.set_field(field, message.get_field(field).into_owned());
    let mut object = Vec::new();
    Tables::of(kind).write(&alone.encode_to_vec(), &mut object)?;
    // The object has this one field.
    let before = format!("{{{}:", serde_json::Value::from(field.json_name()));
    let value = object.strip_prefix(before.as_bytes()).and_then(|rest| rest.strip_suffix(b"}"));
    out.extend_from_slice(value.ok_or_else(|| Malformed(format!("no {}", field.name())))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::written;

    #[test]
    fn a_field_of_any_kind_is_written_alone() {
        let all = r#"{"text":"a","large":"7","single":0.1,"inners":[{"text":"b"}],"counts":{"1":"2"},"wrapped":"NaN",
            "colour":"COLOUR_RED","time":"2026-11-30T00:00:00Z","value":[1.5]}"#;
        let all = DynamicMessage::deserialize(written::all(), &mut serde_json::Deserializer::from_str(all)).unwrap();
        for (name, there, absent) in [
            ("text", r#""a""#, r#""""#),
            ("large", r#""7""#, r#""0""#),
            ("single", "0.1", "0.0"),
            ("inners", r#"[{"text":"b"}]"#, "[]"),
            ("counts", r#"{"1":"2"}"#, "{}"),
            ("wrapped", r#""NaN""#, "null"),
            ("colour", r#""COLOUR_RED""#, r#""COLOUR_UNSPECIFIED""#),
            ("time", r#""2026-11-30T00:00:00Z""#, "null"),
            ("value", "[1.5]", "null"),
        ] {
            let written = |message: &[u8]| {
                let mut out = Vec::new();
                field(&written::all().get_field_by_name(name).unwrap(), message, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            };
            assert_eq!((written(&all.encode_to_vec()).as_str(), written(&[]).as_str()), (there, absent), "{name}");
        }
    }
}
