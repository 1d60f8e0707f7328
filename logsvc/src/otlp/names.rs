//! The fields that keep what OTLP says of a record and a record has no place for.
//!
//! `otel.` is OpenTelemetry's own prefix, and it asks everybody to keep off it: no
//! attribute of a program is mistaken for one of these.

/// The id by which receivers know that they have a record already.
pub(crate) const UID: &str = "log.record.uid";

pub(super) const SERVICE: &str = "service.name";
pub(super) const INSTANCE: &str = "service.instance.id";

/// Before the key of each other attribute of the resource, and of the scope.
pub(super) const RESOURCE: &str = "otel.resource.";
pub(super) const SCOPE: &str = "otel.scope.";

// With an underscore after the noun: no attribute's key can come out as one of these.
pub(super) const RESOURCE_SCHEMA: &str = "otel.resource_schema_url";
pub(super) const RESOURCE_DROPPED: &str = "otel.resource_dropped_attributes_count";
pub(super) const SCOPE_VERSION: &str = "otel.scope_version";
pub(super) const SCOPE_SCHEMA: &str = "otel.scope_schema_url";
pub(super) const SCOPE_DROPPED: &str = "otel.scope_dropped_attributes_count";
pub(super) const DROPPED: &str = "otel.dropped_attributes_count";
pub(super) const EVENT: &str = "otel.event_name";
pub(super) const FLAGS: &str = "otel.flags";
/// The severity in the words of the program, where they are not the level's name.
pub(super) const SEVERITY: &str = "otel.severity_text";
/// What the message is, where it is not words: `integer`, `float`, `boolean`, `json` or `bytes`.
pub(super) const BODY: &str = "otel.body_kind";

// What Rundoo says of a record and OTLP has no place for.
pub(super) const REQUEST_ID: &str = "rundoo.request_id";
pub(super) const CUT: &str = "rundoo.cut";
pub(super) const LAST_WORDS: &str = "rundoo.last_words";
/// How many records a gap record stands for; with `.` and a level, how many of that level.
pub(super) const LOST: &str = "rundoo.lost";
