//! What is stored, as OTLP.

use prost::Message as _;
use proto::logs::field::Kind;
use proto::logs::{Field, LogRecord};
use proto::otlp::collector::ExportLogsServiceRequest;
use proto::otlp::common::{InstrumentationScope, KeyValue};
use proto::otlp::logs::{self as otlp, ResourceLogs, ScopeLogs};
use proto::otlp::resource::Resource;

use super::incoming::kind_name;
use super::{names, value};
use crate::entry::{Entry, nanoseconds};
use crate::level;

/// A request in the making.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(ExportLogsServiceRequest);

/// One entry as OTLP has it: what said it, which part of that, and what it said.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    resource: Resource,
    resource_schema: String,
    scope: InstrumentationScope,
    scope_schema: String,
    pub(super) record: otlp::LogRecord,
}

impl Outgoing {
    /// Adds an entry behind all others of its resource and scope.
    pub(crate) fn add(&mut self, parts: Parts) {
        let Parts { resource, resource_schema: schema_url, scope, scope_schema, record } = parts;
        let resources = &mut self.0.resource_logs;
        let at = resources
            .iter()
            .rposition(|logs| logs.resource.as_ref() == Some(&resource) && logs.schema_url == schema_url)
            .unwrap_or_else(|| {
                resources.push(ResourceLogs { resource: Some(resource), schema_url, ..Default::default() });
                resources.len() - 1
            });
        let scopes = &mut resources[at].scope_logs;
        let at = scopes
            .iter()
            .rposition(|logs| logs.scope.as_ref() == Some(&scope) && logs.schema_url == scope_schema)
            .unwrap_or_else(|| {
                scopes.push(ScopeLogs { scope: Some(scope), schema_url: scope_schema, ..Default::default() });
                scopes.len() - 1
            });
        scopes[at].log_records.push(record);
    }

    pub(crate) fn into_request(self) -> ExportLogsServiceRequest {
        self.0
    }
}

impl Parts {
    pub(crate) fn of(entry: &Entry) -> Self {
        let Entry { received, source, record, .. } = entry;
        let mut parts = Self::default();
        let (mut severity, mut body_kind) = (level::name(record.level), "");
        for field in &record.fields {
            match field.name.as_str() {
                names::BODY => body_kind = &field.value,
                names::SEVERITY => severity = &field.value,
                _ => parts.add_field(field),
            }
        }
        // In front: for the receiver the name of the service is the most important thing of all.
        parts.resource.attributes.insert(0, words(names::SERVICE, &source.service));
        if !source.instance.is_empty() {
            parts.resource.attributes.insert(1, words(names::INSTANCE, &source.instance));
        }
        record.target.clone_into(&mut parts.scope.name);
        parts.add_own(entry);

        let said = &mut parts.record;
        said.time_unix_nano = unsigned(nanoseconds(record.time.as_ref()).unwrap_or_default());
        said.observed_time_unix_nano = unsigned(*received);
        said.severity_number = record.level;
        severity.clone_into(&mut said.severity_text);
        said.body = (!record.message.is_empty() || !body_kind.is_empty())
            .then(|| value::from_text(&record.message, kind_named(body_kind)));
        said.trace_id = value::from_hex(&record.trace_id, 16);
        said.span_id = value::from_hex(&record.span_id, 8);
        parts
    }

    /// About what it takes in a request: at most what it really does, with a resource and a scope of its own.
    pub(crate) fn bytes(&self) -> usize {
        /// Tags and lengths around the parts.
        const AROUND: usize = 48;
        let schemas = self.resource_schema.len() + self.scope_schema.len();
        self.record.encoded_len() + self.resource.encoded_len() + self.scope.encoded_len() + schemas + AROUND
    }

    /// Puts a field where it came from; one of a program's own is an attribute.
    fn add_field(&mut self, field: &Field) {
        let number = || field.value.parse().unwrap_or_default();
        let attribute = |key: &str| attribute(key, &field.value, field.kind());
        match field.name.as_str() {
            names::RESOURCE_SCHEMA => field.value.clone_into(&mut self.resource_schema),
            names::RESOURCE_DROPPED => self.resource.dropped_attributes_count = number(),
            names::SCOPE_VERSION => field.value.clone_into(&mut self.scope.version),
            names::SCOPE_SCHEMA => field.value.clone_into(&mut self.scope_schema),
            names::SCOPE_DROPPED => self.scope.dropped_attributes_count = number(),
            names::DROPPED => self.record.dropped_attributes_count = number(),
            names::FLAGS => self.record.flags = number(),
            names::EVENT => field.value.clone_into(&mut self.record.event_name),
            name => match (name.strip_prefix(names::RESOURCE), name.strip_prefix(names::SCOPE)) {
                (Some(key), _) => self.resource.attributes.push(attribute(key)),
                (_, Some(key)) => self.scope.attributes.push(attribute(key)),
                _ => self.record.attributes.push(attribute(name)),
            },
        }
    }

    /// Adds what is no field of the record and has no place in OTLP.
    fn add_own(&mut self, Entry { source, record, .. }: &Entry) {
        let attributes = &mut self.record.attributes;
        if !record.request_id.is_empty() {
            attributes.push(words(names::REQUEST_ID, &record.request_id));
        }
        for (name, is_so) in [(names::CUT, record.cut), (names::LAST_WORDS, source.last_words)] {
            if is_so {
                attributes.push(attribute(name, "true", Kind::Boolean));
            }
        }
        attributes.extend(lost(record));
    }

    /// Names the record, unless it brought a name: what is sent again is known by it.
    pub(crate) fn name(mut self, uid: &str) -> Self {
        let is_named = self.record.attributes.iter().any(|attribute| attribute.key == names::UID);
        if !is_named {
            self.record.attributes.push(words(names::UID, uid));
        }
        self
    }
}

/// How many records a gap record stands for, in all and by level.
fn lost(record: &LogRecord) -> Vec<KeyValue> {
    let mut counts: Vec<(String, u64)> = Vec::new();
    if !record.lost.is_empty() {
        counts.push((names::LOST.to_owned(), crate::entry::span(record)));
    }
    let named = record.lost.iter().filter(|lost| lost.level >= 1);
    counts.extend(named.map(|lost| (format!("{}.{}", names::LOST, level::name(lost.level)), lost.count)));
    counts.iter().map(|(name, count)| attribute(name, &count.to_string(), Kind::Integer)).collect()
}

fn attribute(key: &str, text: &str, kind: Kind) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value::from_text(text, kind)) }
}

fn words(key: &str, text: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value::words(text)) }
}

fn kind_named(name: &str) -> Kind {
    let kinds = [Kind::Integer, Kind::Float, Kind::Boolean, Kind::Json, Kind::Bytes];
    kinds.into_iter().find(|kind| kind_name(*kind) == name).unwrap_or_default()
}

/// Times before 1970 have no place in OTLP.
fn unsigned(nanoseconds: i64) -> u64 {
    u64::try_from(nanoseconds).unwrap_or_default()
}
