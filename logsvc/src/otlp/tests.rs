//! Both directions, by what each keeps.

use std::sync::Arc;

use proto::logs::field::Kind;
use proto::logs::{Field, Level, LevelCount, LogRecord};
use proto::otlp::collector::ExportLogsServiceRequest;
use proto::otlp::common::any_value::Value;
use proto::otlp::common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use proto::otlp::logs::{self as otlp, ResourceLogs, ScopeLogs};
use proto::otlp::resource::Resource;

use super::incoming::{Incoming, records};
use super::names;
use super::outgoing::{Outgoing, Parts};
use crate::entry::{Entry, Source, normalise, timestamp};

mod receiver;

fn incoming(request: ExportLogsServiceRequest) -> Incoming {
    let mut incoming = Incoming::default();
    records(request).for_each(|(source, record)| incoming.add(&source, record));
    incoming
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn words(text: &str) -> Option<AnyValue> {
    any(Value::StringValue(text.to_owned()))
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value }
}

/// A request with one record of `shop`.
pub(super) fn request(record: otlp::LogRecord) -> ExportLogsServiceRequest {
    let resource = Resource { attributes: vec![pair(names::SERVICE, words("shop"))], ..Default::default() };
    let logs = ScopeLogs { log_records: vec![record], ..Default::default() };
    let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![logs], ..Default::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

pub(super) fn saying(text: &str) -> otlp::LogRecord {
    otlp::LogRecord { body: words(text), ..Default::default() }
}

fn stored(record: otlp::LogRecord) -> LogRecord {
    let mut record = incoming(request(record)).batches.remove(0).1.remove(0);
    normalise(&mut record, 5_000_000_000);
    record
}

fn entry(source: Arc<Source>, record: LogRecord) -> Entry {
    Entry { offset: 7, received: 5_000_000_000, source, record }
}

/// Everything in and out again.
fn returned(request: ExportLogsServiceRequest) -> ExportLogsServiceRequest {
    let mut outgoing = Outgoing::default();
    for (source, records) in incoming(request).batches {
        for mut record in records {
            normalise(&mut record, 5_000_000_000);
            outgoing.add(Parts::of(&entry(source.clone(), record)));
        }
    }
    outgoing.into_request()
}

fn field<'a>(record: &'a LogRecord, name: &str) -> Option<(&'a str, Kind)> {
    record.fields.iter().find(|field| field.name == name).map(|field| (field.value.as_str(), field.kind()))
}

#[test]
fn a_record_keeps_what_its_sdk_said() {
    let record = stored(otlp::LogRecord {
        time_unix_nano: 1_700_000_000_000_000_001,
        severity_number: 18,
        severity_text: "SEVERE".to_owned(),
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        flags: 1,
        event_name: "order.placed".to_owned(),
        dropped_attributes_count: 3,
        attributes: vec![
            pair("http.status", any(Value::IntValue(-7))),
            pair("share", any(Value::DoubleValue(1.0))),
            pair("new", any(Value::BoolValue(true))),
            pair("raw", any(Value::BytesValue(vec![0, 255]))),
            pair("list", any(Value::ArrayValue(ArrayValue { values: vec![words("a").unwrap(), AnyValue::default()] }))),
            pair("nothing", None),
            pair("rundoo.request_id", words("r-1")),
            pair("", words("no name")),
        ],
        ..saying("placed")
    });

    assert_eq!((record.message.as_str(), record.level), ("placed", 18));
    assert_eq!(record.time, Some(timestamp(1_700_000_000_000_000_001)));
    assert_eq!(
        (record.trace_id.as_str(), record.span_id.as_str()),
        ("ab".repeat(16).as_str(), "cd".repeat(8).as_str())
    );
    assert_eq!(record.request_id, "r-1");
    let expected = [
        ("http.status", "-7", Kind::Integer),
        ("share", "1.0", Kind::Float),
        ("new", "true", Kind::Boolean),
        ("raw", "AP8=", Kind::Bytes),
        ("list", "[\"a\",null]", Kind::Json),
        ("nothing", "null", Kind::Json),
        ("otel.event_name", "order.placed", Kind::Unspecified),
        ("otel.severity_text", "SEVERE", Kind::Unspecified),
        ("otel.flags", "1", Kind::Integer),
        ("otel.dropped_attributes_count", "3", Kind::Integer),
    ];
    let fields: Vec<_> = record.fields.iter().map(|field| (&*field.name, &*field.value, field.kind())).collect();
    assert_eq!(fields, expected);
}

#[test]
fn what_is_no_id_and_no_time_is_none() {
    let record = stored(otlp::LogRecord { trace_id: vec![0; 16], span_id: vec![1; 7], ..saying("x") });
    assert_eq!((record.trace_id.as_str(), record.span_id.as_str()), ("", ""));
    assert_eq!(record.time, Some(timestamp(5_000_000_000)), "the time of receipt");

    let record = stored(otlp::LogRecord { observed_time_unix_nano: 9, ..saying("x") });
    assert_eq!(record.time, Some(timestamp(9)));

    let record = stored(otlp::LogRecord { time_unix_nano: u64::MAX, ..saying("x") });
    assert_eq!(record.time, Some(timestamp(5_000_000_000)), "after the year 2262");
}

#[test]
fn a_severity_without_a_number_is_read_from_its_words() {
    let level = |text: &str| stored(otlp::LogRecord { severity_text: text.to_owned(), ..saying("x") }).level;

    assert_eq!([level("WARNING"), level("critical"), level(""), level("odd")], [13, 21, 9, 9]);
}

#[test]
fn a_body_may_be_any_value() {
    let body = KeyValueList { values: vec![pair("n", any(Value::IntValue(1)))] };
    let record = otlp::LogRecord { body: any(Value::KvlistValue(body)), ..Default::default() };

    let kept = stored(record.clone());

    assert_eq!(kept.message, "{\"n\":1}");
    assert_eq!(field(&kept, "otel.body_kind"), Some(("json", Kind::Unspecified)));
    assert_eq!(returned(request(record.clone())).resource_logs[0].scope_logs[0].log_records[0].body, record.body);
}

#[test]
fn instances_without_a_name_are_known_all_the_same() {
    let logs = ResourceLogs {
        scope_logs: vec![ScopeLogs { log_records: vec![saying("x")], ..Default::default() }],
        ..Default::default()
    };

    let incoming = incoming(ExportLogsServiceRequest { resource_logs: vec![logs.clone(), logs] });

    assert_eq!(incoming.batches.len(), 1, "of one instance: one append");
    assert_eq!(incoming.batches[0].0, Source::unsequenced("unknown_service".to_owned(), String::new()).into());
    assert_eq!(incoming.batches[0].1.len(), 2);
}

#[test]
fn a_record_that_says_nothing_is_refused() {
    let mut request = request(otlp::LogRecord { severity_number: 9, time_unix_nano: 5, ..Default::default() });
    request.resource_logs[0].scope_logs[0].log_records.push(saying("x"));

    let incoming = incoming(request);

    assert_eq!((incoming.rejected, incoming.batches[0].1.len()), (1, 1));
}

#[test]
fn a_record_of_our_own_has_what_a_receiver_needs() {
    let source = Source { last_words: true, ..Source::parse("shop".into(), "s-1".into(), "p".into(), 3).unwrap() };
    let own = LogRecord {
        sequence: 9,
        level: Level::Warn.into(),
        target: "shop::cart".to_owned(),
        message: "full".to_owned(),
        fields: vec![Field { name: "n".into(), value: "18446744073709551615".into(), kind: Kind::Integer.into() }],
        request_id: "r-1".to_owned(),
        trace_id: "ab".repeat(16),
        cut: true,
        ..Default::default()
    };

    let mut outgoing = Outgoing::default();
    outgoing.add(Parts::of(&entry(source.into(), own)).name("p/3/9"));
    let logs = &outgoing.into_request().resource_logs[0];

    let service = vec![pair("service.name", words("shop")), pair("service.instance.id", words("s-1"))];
    assert_eq!(logs.resource.as_ref().unwrap().attributes, service);
    assert_eq!(logs.scope_logs[0].scope.as_ref().unwrap().name, "shop::cart");
    let record = &logs.scope_logs[0].log_records[0];
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
    assert_eq!((record.body.clone(), &record.trace_id), (words("full"), &vec![0xab; 16]));
    assert_eq!(record.observed_time_unix_nano, 5_000_000_000);
    let attributes = [
        pair("n", words("18446744073709551615")),
        pair("rundoo.request_id", words("r-1")),
        pair("rundoo.cut", any(Value::BoolValue(true))),
        pair("rundoo.last_words", any(Value::BoolValue(true))),
        pair("log.record.uid", words("p/3/9")),
    ];
    assert_eq!(record.attributes, attributes);
}

#[test]
fn a_gap_says_how_many_and_of_which_level() {
    let lost = vec![
        LevelCount { level: Level::Info.into(), count: 5 },
        LevelCount { level: Level::Unspecified.into(), count: 2 },
    ];
    let mut record = LogRecord { lost, ..Default::default() };
    normalise(&mut record, 1);

    let said = Parts::of(&entry(Source::unsequenced("shop".into(), "s".into()).into(), record)).record;

    let number = |n| any(Value::IntValue(n));
    assert_eq!(said.attributes, [pair("rundoo.lost", number(7)), pair("rundoo.lost.INFO", number(5))]);
}

#[test]
fn a_name_that_came_with_a_record_stays() {
    let record = stored(otlp::LogRecord { attributes: vec![pair(names::UID, words("u-1"))], ..saying("x") });

    let said = Parts::of(&entry(Source::unsequenced("shop".into(), "s".into()).into(), record)).name("other").record;

    assert_eq!(said.attributes, [pair(names::UID, words("u-1"))]);
}

#[test]
fn what_goes_through_comes_out_as_it_came() {
    for seed in 0..2000 {
        fastrand::seed(seed);
        let sent = random::request();

        let came = returned(sent.clone());

        assert_eq!(random::sorted(came), random::sorted(sent), "seed {seed}");
    }
}

/// Requests of any shape that a record can hold: no bytes inside of lists, no numbers that JSON lacks.
mod random {
    use super::*;

    fn text() -> String {
        (0..fastrand::usize(1..9)).map(|_| fastrand::choice(['a', 'é', '.', '"', '\n', '7']).unwrap()).collect()
    }

    fn value(depth: u32) -> Option<Value> {
        Some(match fastrand::u32(0..if depth == 0 { 6 } else { 8 }) {
            0 => return None,
            1 => Value::StringValue(text()),
            2 => Value::BoolValue(fastrand::bool()),
            3 => Value::IntValue(fastrand::i64(..)),
            4 => Value::DoubleValue(fastrand::f64() * 1e9),
            // At the top only: inside of JSON bytes become words.
            5 if depth == 3 => Value::BytesValue((0..fastrand::usize(0..20)).map(|_| fastrand::u8(..)).collect()),
            5 | 6 => {
                let values = (0..fastrand::usize(0..4)).map(|_| AnyValue { value: value(depth.saturating_sub(1)) });
                Value::ArrayValue(ArrayValue { values: values.collect() })
            }
            _ => Value::KvlistValue(KeyValueList { values: attributes(depth - 1) }),
        })
    }

    fn attributes(depth: u32) -> Vec<KeyValue> {
        let keys: std::collections::BTreeSet<String> = (0..fastrand::usize(0..5)).map(|_| text()).collect();
        keys.into_iter().map(|key| KeyValue { key, value: Some(AnyValue { value: value(depth) }) }).collect()
    }

    fn id(length: usize) -> Vec<u8> {
        if fastrand::bool() { Vec::new() } else { vec![fastrand::u8(1..); length] }
    }

    fn record() -> otlp::LogRecord {
        otlp::LogRecord {
            time_unix_nano: fastrand::u64(1..i64::MAX as u64),
            observed_time_unix_nano: 5_000_000_000,
            severity_number: fastrand::i32(1..=24),
            severity_text: text(),
            body: value(3).map(|value| AnyValue { value: Some(value) }),
            attributes: attributes(3),
            dropped_attributes_count: fastrand::u32(0..3),
            flags: fastrand::u32(0..3),
            trace_id: id(16),
            span_id: id(8),
            event_name: text(),
        }
    }

    pub(super) fn request() -> ExportLogsServiceRequest {
        let mut attributes = attributes(3);
        attributes.insert(0, pair(names::SERVICE, words("shop")));
        attributes.insert(1, pair(names::INSTANCE, words("s-1")));
        let resource = Resource { attributes, dropped_attributes_count: fastrand::u32(0..3), ..Default::default() };
        let scope = InstrumentationScope {
            name: text(),
            version: text(),
            attributes: super::random::attributes(3),
            dropped_attributes_count: fastrand::u32(0..3),
        };
        let log_records = (0..fastrand::usize(1..4)).map(|_| record()).collect();
        let logs = ScopeLogs { scope: Some(scope), log_records, schema_url: text() };
        let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![logs], schema_url: text() };
        ExportLogsServiceRequest { resource_logs: vec![logs] }
    }

    /// Maps have no order.
    pub(super) fn sorted(mut request: ExportLogsServiceRequest) -> ExportLogsServiceRequest {
        for logs in &mut request.resource_logs {
            sort(&mut logs.resource.as_mut().unwrap().attributes);
            for logs in &mut logs.scope_logs {
                sort(&mut logs.scope.as_mut().unwrap().attributes);
                logs.log_records.iter_mut().for_each(|record| sort(&mut record.attributes));
            }
        }
        request
    }

    fn sort(attributes: &mut [KeyValue]) {
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
    }
}
