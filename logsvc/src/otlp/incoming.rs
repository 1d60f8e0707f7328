//! What came over OTLP, as records to store.

use std::sync::Arc;

use proto::logs::field::Kind;
use proto::logs::{Field, Level, LogRecord};
use proto::otlp::collector::ExportLogsServiceRequest;
use proto::otlp::common::any_value::Value;
use proto::otlp::common::{AnyValue, InstrumentationScope, KeyValue};
use proto::otlp::logs as otlp;
use proto::otlp::resource::Resource;

use super::{names, value};
use crate::entry::{Source, cut_fields, timestamp, weight};
use crate::level;

/// What OpenTelemetry calls a service that does not say its name.
const NAMELESS: &str = "unknown_service";

/// A part of a request, ready to be stored.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// By who logs; in the order they came.
    pub(super) batches: Vec<(Arc<Source>, Vec<LogRecord>)>,
    /// Records that say nothing at all.
    pub(super) rejected: i64,
    /// About what it takes in memory.
    pub(super) weight: usize,
}

/// What a request holds, one record after the other; none in the place of one that says nothing at all.
///
/// What is known of resource and scope goes into each record, so a small request can be a great deal of
/// records: they are made as they are taken.
pub(super) fn records(request: ExportLogsServiceRequest) -> impl Iterator<Item = (Arc<Source>, Option<LogRecord>)> {
    request.resource_logs.into_iter().flat_map(|logs| {
        let (source, of_resource) = read_resource(logs.resource.unwrap_or_default(), logs.schema_url);
        let source = Arc::new(source);
        logs.scope_logs.into_iter().flat_map(move |logs| {
            let (target, mut context) = read_scope(logs.scope.unwrap_or_default(), logs.schema_url);
            context.extend_from_slice(&of_resource);
            cut_fields(&mut context);
            let source = source.clone();
            logs.log_records.into_iter().map(move |record| (source.clone(), read_record(record, &target, &context)))
        })
    })
}

impl Incoming {
    /// Takes a record to store, or counts one that says nothing.
    pub(super) fn add(&mut self, source: &Arc<Source>, record: Option<LogRecord>) {
        let Some(record) = record else {
            self.rejected += 1;
            return;
        };
        self.weight += weight(&record);
        self.batch_of(source).push(record);
    }

    /// A collector sends many resources of one instance; each is one append less when they are together.
    fn batch_of(&mut self, source: &Arc<Source>) -> &mut Vec<LogRecord> {
        let at = self.batches.iter().rposition(|(known, _)| known == source).unwrap_or_else(|| {
            self.batches.push((source.clone(), Vec::new()));
            self.batches.len() - 1
        });
        &mut self.batches[at].1
    }
}

/// Who logs, and the fields that keep the rest of what is known of it.
fn read_resource(resource: Resource, schema_url: String) -> (Source, Vec<Field>) {
    let (mut service, mut instance, mut fields) = (String::new(), String::new(), Vec::new());
    for attribute in resource.attributes {
        match attribute.key.as_str() {
            names::SERVICE => service = text_of(attribute.value).0,
            names::INSTANCE => instance = text_of(attribute.value).0,
            _ => fields.extend(field(names::RESOURCE, attribute)),
        }
    }
    fields.extend(count(names::RESOURCE_DROPPED, resource.dropped_attributes_count));
    fields.extend(words(names::RESOURCE_SCHEMA, schema_url));
    if service.is_empty() {
        NAMELESS.clone_into(&mut service);
    }
    (Source::unsequenced(service, instance), fields)
}

/// The target, and the fields that keep the rest of what is known of the scope.
fn read_scope(scope: InstrumentationScope, schema_url: String) -> (String, Vec<Field>) {
    let mut fields: Vec<Field> =
        scope.attributes.into_iter().filter_map(|attribute| field(names::SCOPE, attribute)).collect();
    fields.extend(words(names::SCOPE_VERSION, scope.version));
    fields.extend(count(names::SCOPE_DROPPED, scope.dropped_attributes_count));
    fields.extend(words(names::SCOPE_SCHEMA, schema_url));
    (scope.name, fields)
}

/// A record; none of one that says nothing. What it says itself comes first: the end of a long record is cut.
fn read_record(said: otlp::LogRecord, target: &str, context: &[Field]) -> Option<LogRecord> {
    let body = said.body.and_then(|body| body.value);
    if body.is_none() && said.attributes.is_empty() && said.event_name.is_empty() {
        return None;
    }
    let level = read_level(said.severity_number, &said.severity_text);
    let (message, body_kind) = body.map(|body| value::to_text(Some(body))).unwrap_or_default();
    let (mut fields, mut request_id, mut cut) = (Vec::new(), String::new(), false);
    for attribute in said.attributes {
        let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
        match (attribute.key.as_str(), value) {
            (names::REQUEST_ID, Some(Value::StringValue(id))) => request_id.clone_from(id),
            (names::CUT, Some(Value::BoolValue(was_cut))) => cut = *was_cut,
            _ => fields.extend(field("", attribute)),
        }
    }
    fields.extend(words(names::EVENT, said.event_name));
    fields.extend(words(names::BODY, kind_name(body_kind).to_owned()));
    if said.severity_text != level::name(level) {
        fields.extend(words(names::SEVERITY, said.severity_text));
    }
    fields.extend(count(names::FLAGS, said.flags));
    fields.extend(count(names::DROPPED, said.dropped_attributes_count));
    fields.extend_from_slice(context);
    // Nothing at all becomes the time of receipt when it is stored.
    let time = [said.time_unix_nano, said.observed_time_unix_nano].into_iter().find(|time| *time != 0);
    Some(LogRecord {
        time: time.and_then(|time| i64::try_from(time).ok()).map(timestamp),
        level,
        target: target.to_owned(),
        message,
        fields,
        request_id,
        trace_id: value::to_hex(&said.trace_id, 16),
        span_id: value::to_hex(&said.span_id, 8),
        cut,
        ..Default::default()
    })
}

/// The severity number; where there is none, what the words say in the usual languages.
fn read_level(number: i32, words: &str) -> i32 {
    if (1..=24).contains(&number) {
        return number;
    }
    let level = match words.to_ascii_lowercase().as_str() {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "warn" | "warning" => Level::Warn,
        "error" | "err" => Level::Error,
        "fatal" | "critical" | "panic" => Level::Fatal,
        _ => Level::Info,
    };
    level.into()
}

/// What a kind is called in [`names::BODY`]; words need no name.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "",
        Kind::Integer => "integer",
        Kind::Float => "float",
        Kind::Boolean => "boolean",
        Kind::Json => "json",
        Kind::Bytes => "bytes",
    }
}

fn text_of(any: Option<AnyValue>) -> (String, Kind) {
    value::to_text(any.and_then(|any| any.value))
}

/// An attribute as a field; none of one without a name.
fn field(prefix: &str, attribute: KeyValue) -> Option<Field> {
    let KeyValue { key, value } = attribute;
    if key.is_empty() {
        return None;
    }
    let (value, kind) = text_of(value);
    let name = if prefix.is_empty() { key } else { format!("{prefix}{key}") };
    Some(Field { name, value, kind: kind.into() })
}

fn words(name: &str, value: String) -> Option<Field> {
    (!value.is_empty()).then(|| Field { name: name.to_owned(), value, ..Default::default() })
}

fn count(name: &str, number: u32) -> Option<Field> {
    (number != 0).then(|| Field { name: name.to_owned(), value: number.to_string(), kind: Kind::Integer.into() })
}
