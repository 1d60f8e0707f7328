//! A record, and messages of the contract, as a line of JSON.

use std::collections::BTreeMap;

use anyhow::Context as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use proto::logs::field::Kind;
use proto::logs::{Field, LevelCount, StoredRecord};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::level;
use crate::line::is_harmful;

/// What is printed of a record: flat, for `jq`. Names are the contract's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    offset: u64,
    service: &'a str,
    instance_id: &'a str,
    producer: &'a str,
    incarnation: u64,
    sequence: u64,
    time: Option<String>,
    received: Option<String>,
    level: &'static str,
    severity: i32,
    target: &'a str,
    message: &'a str,
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    span_id: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    last_words: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lost: BTreeMap<&'static str, u64>,
}

/// Appends the line of a record.
pub(super) fn write(stored: &StoredRecord, text: &mut String) -> anyhow::Result<()> {
    let Some(record) = &stored.record else { return Ok(()) };
    let row = Row {
        offset: stored.offset,
        service: &stored.service,
        instance_id: &stored.instance_id,
        producer: &stored.producer,
        incarnation: stored.incarnation,
        sequence: record.sequence,
        time: time(record.time.as_ref()),
        received: time(stored.received.as_ref()),
        level: level::name(record.level.max(1)),
        severity: record.level,
        target: &record.target,
        message: &record.message,
        fields: fields(&record.fields),
        request_id: &record.request_id,
        trace_id: &record.trace_id,
        span_id: &record.span_id,
        cut: record.cut,
        last_words: stored.last_words,
        lost: lost(&record.lost),
    };
    harmless(&serde_json::to_string(&row).context("a record has no JSON")?, text);
    text.push('\n');
    Ok(())
}

/// A message of the contract in proto3 JSON, with its line end. Numbers are numbers, and what is empty is there too.
pub(super) fn line(name: &str, message: &impl prost::Message) -> anyhow::Result<String> {
    let pool = DescriptorPool::decode(proto::logs::DESCRIPTORS).context("the contract cannot be read")?;
    let descriptor = pool.get_message_by_name(&format!("rundoo.logs.v1.{name}"));
    let descriptor = descriptor.with_context(|| format!("the contract has no {name}"))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let mut bytes = Vec::new();
    let options = SerializeOptions::new().skip_default_fields(false).stringify_64_bit_integers(false);
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut bytes), &options)?;
    let mut text = String::new();
    harmless(&String::from_utf8(bytes)?, &mut text);
    Ok(text + "\n")
}

/// JSON may carry what plays with a terminal as it is; it stands in strings only, where it can be escaped.
fn harmless(json: &str, text: &mut String) {
    let mut units = [0; 2];
    for c in json.chars() {
        match is_harmful(c) {
            true => c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
            false => text.push(c),
        }
    }
}

/// RFC 3339, as exactly as it was said.
fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    time.and_then(mesh::from_timestamp).map(|time| time.to_string())
}

/// By name. A name that comes again has a list of its values.
fn fields(fields: &[Field]) -> Map<String, Value> {
    let mut map = Map::new();
    let mut repeated: Vec<&str> = Vec::new();
    for field in fields {
        let value = value(field);
        match map.get_mut(&field.name) {
            None => drop(map.insert(field.name.clone(), value)),
            Some(Value::Array(values)) if repeated.contains(&field.name.as_str()) => values.push(value),
            Some(first) => {
                *first = Value::Array(vec![first.take(), value]);
                repeated.push(&field.name);
            }
        }
    }
    map
}

/// What a field says it is, if its text bears it out.
fn value(field: &Field) -> Value {
    let text = || Value::String(field.value.clone());
    let parsed = || serde_json::from_str::<Value>(&field.value).ok();
    match field.kind() {
        Kind::Unspecified | Kind::Bytes => text(),
        // Larger ones would lose their last digits.
        Kind::Integer => parsed().filter(|value| value.is_i64() || value.is_u64()).unwrap_or_else(text),
        Kind::Float => parsed().filter(Value::is_number).unwrap_or_else(text),
        Kind::Boolean => parsed().filter(Value::is_boolean).unwrap_or_else(text),
        Kind::Json => parsed().unwrap_or_else(text),
    }
}

fn lost(lost: &[LevelCount]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for LevelCount { level, count } in lost {
        let name = if *level < 1 { "UNKNOWN" } else { level::name(*level) };
        *counts.entry(name).or_insert(0) += count;
    }
    counts
}

#[cfg(test)]
mod tests {
    use proto::logs::{LogRecord, VerifiedFile, VerifyResponse, verify_response};

    use super::*;

    fn field(name: &str, value: &str, kind: Kind) -> Field {
        Field { name: name.into(), value: value.into(), kind: kind.into() }
    }

    #[test]
    fn a_record_is_flat_and_its_values_are_what_they_are() {
        let record = LogRecord {
            sequence: 57,
            time: Some(prost_types::Timestamp { seconds: 0, nanos: 1_000 }),
            level: 10,
            message: "a\nb\u{9b}\u{202e}\u{e0041}".into(),
            fields: vec![
                field("n", "12", Kind::Integer),
                field("big", "36893488147419103232", Kind::Integer),
                field("nan", "NaN", Kind::Float),
                field("ok", "true", Kind::Boolean),
                field("list", "[1]", Kind::Json),
                field("text", "12", Kind::Unspecified),
                field("twice", "[1]", Kind::Json),
                field("twice", "b", Kind::Unspecified),
                field("twice", "c", Kind::Unspecified),
            ],
            lost: vec![LevelCount { level: 0, count: 2 }, LevelCount { level: 9, count: 3 }],
            cut: true,
            ..Default::default()
        };
        let stored = StoredRecord { offset: 1 << 40, service: "s".into(), record: Some(record), ..Default::default() };
        let mut text = String::new();

        write(&stored, &mut text).unwrap();

        let row: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
        let expected = serde_json::json!({
            "offset": 1_u64 << 40, "service": "s", "instanceId": "", "producer": "", "incarnation": 0, "sequence": 57,
            "time": "1970-01-01T00:00:00.000001Z", "received": null, "level": "INFO", "severity": 10,
            "target": "", "message": "a\nb\u{9b}\u{202e}\u{e0041}",
            "fields": {"n": 12, "big": "36893488147419103232", "nan": "NaN", "ok": true, "list": [1], "text": "12", "twice": [[1], "b", "c"]},
            "cut": true, "lost": {"UNKNOWN": 2, "INFO": 3},
        });
        assert_eq!(row, expected);
        assert!(text.starts_with("{\"offset\":"), "{text}");
        assert!(text.contains(r"a\nb\u009b\u202e\udb40\udc41"), "{text}");
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn messages_of_the_contract_have_its_names() {
        let file = VerifiedFile { name: "a".into(), bytes: 1 << 40, ..Default::default() };

        let text = line("VerifyResponse", &VerifyResponse { part: Some(verify_response::Part::File(file)) }).unwrap();

        assert_eq!(text, "{\"file\":{\"name\":\"a\",\"bytes\":1099511627776,\"findings\":[]}}\n");
    }
}
