//! A log event as the bytes of a `LogRecord`, written while its fields are visited.
//!
//! This is what every event costs the thread that says it, so nothing is built that
//! is thrown away again: no message, no text for each field. The sequence number is
//! not in the bytes; the outbox gives it.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proto::logs::Level;
use proto::logs::field::Kind;
use tracing::Event;
use tracing::field::{Field, Visit};

use crate::call::{Actor, Call};

#[cfg(test)]
mod tests;
pub(crate) mod wire;

use wire::Limited;

/// What the contract allows; the rest is cut.
const LONGEST_TARGET: usize = 256;
const LONGEST_MESSAGE: usize = 256 * 1024;
const MOST_FIELDS: usize = 128;
const FIELD_BYTES: usize = 64 * 1024;

/// A buffer that had to grow beyond this for one event is not kept for the next.
const KEPT_BUFFER: usize = 16 * 1024;

/// The field that names for whom a call is made.
const ACTOR: &str = "actor";

/// The fields of a `LogRecord` and of its parts, as the contract numbers them.
mod tag {
    pub(super) const TIME: u8 = 2;
    pub(super) const LEVEL: u8 = 3;
    pub(super) const TARGET: u8 = 4;
    pub(super) const MESSAGE: u8 = 5;
    pub(super) const FIELDS: u8 = 6;
    pub(super) const REQUEST_ID: u8 = 7;
    pub(super) const TRACE_ID: u8 = 8;
    pub(super) const SPAN_ID: u8 = 9;
    pub(super) const CUT: u8 = 10;
    /// Of a `Timestamp`.
    pub(super) const SECONDS: u8 = 1;
    pub(super) const NANOS: u8 = 2;
    /// Of a `Field`.
    pub(super) const NAME: u8 = 1;
    pub(super) const VALUE: u8 = 2;
    pub(super) const KIND: u8 = 3;
}

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An event that was encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// A `LogRecord` without its sequence number.
    pub(crate) bytes: &'a [u8],
    /// The front of it: a `LogRecord` with what people are shown of it, its message being the last.
    pub(crate) shown: &'a [u8],
}

/// Encodes an event and hands the bytes to `keep`.
///
/// The thread's buffer is taken out meanwhile: an event that is said while another is
/// written, by its `Debug`, finds none and makes its own.
pub(crate) fn encode(event: &Event<'_>, keep: impl FnOnce(Record<'_>)) {
    let mut bytes = BUFFER.try_with(Cell::take).unwrap_or_default();
    bytes.clear();
    let metadata = event.metadata();
    write_time(&mut bytes);
    wire::number(&mut bytes, tag::LEVEL, level(*metadata.level()) as u64);
    let target = &metadata.target()[..metadata.target().floor_char_boundary(LONGEST_TARGET)];
    wire::text(&mut bytes, tag::TARGET, target);
    let cut = target.len() < metadata.target().len();
    let mut said = Said { bytes: &mut bytes, fields: 0, room: FIELD_BYTES, shown: 0, cut, names_actor: false };
    event.record(&mut said);
    if said.shown == 0 {
        // It says nothing but its fields, or nothing at all.
        said.shown = said.bytes.len();
    }
    Call::peek(|call| said.add_actor(call));
    let (cut, shown) = (said.cut, said.shown);
    wire::number(&mut bytes, tag::CUT, u64::from(cut));
    Call::peek(|call| {
        wire::text(&mut bytes, tag::REQUEST_ID, call.request_id());
        let trace = call.trace();
        wire::hex(&mut bytes, tag::TRACE_ID, trace.trace_id().to_be_bytes());
        wire::hex(&mut bytes, tag::SPAN_ID, trace.span_id().to_be_bytes());
    });
    keep(Record { bytes: &bytes, shown: &bytes[..shown] });
    if bytes.capacity() <= KEPT_BUFFER {
        // A thread that ends has no buffer any more; this one is then dropped.
        let _thread_ends = BUFFER.try_with(|buffer| buffer.set(bytes));
    }
}

/// A level as the contract numbers it.
pub(crate) fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

fn write_time(bytes: &mut Vec<u8>) {
    // A clock before 1970 is one that was never set.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    wire::delimited(bytes, tag::TIME, |bytes| {
        wire::number(bytes, tag::SECONDS, now.as_secs());
        wire::number(bytes, tag::NANOS, u64::from(now.subsec_nanos()));
    });
}

/// Writes the message and the fields of an event.
struct Said<'a> {
    bytes: &'a mut Vec<u8>,
    fields: usize,
    /// What the values of fields may still weigh.
    room: usize,
    /// Where the message ends.
    shown: usize,
    cut: bool,
    /// Whether it says by itself who acts.
    names_actor: bool,
}

impl Said<'_> {
    fn add(&mut self, field: &Field, kind: Kind, say: impl FnOnce(&mut Limited<'_>)) {
        if field.name() == "message" {
            let room = wire::delimited(self.bytes, tag::MESSAGE, |bytes| limited(bytes, LONGEST_MESSAGE, say));
            self.cut |= room.is_none();
            self.shown = self.bytes.len();
            return;
        }
        if self.fields == MOST_FIELDS {
            self.cut = true;
            return;
        }
        self.fields += 1;
        self.names_actor |= field.name() == ACTOR;
        let room = wire::delimited(self.bytes, tag::FIELDS, |bytes| {
            wire::text(bytes, tag::NAME, field.name());
            let room = wire::delimited(bytes, tag::VALUE, |bytes| limited(bytes, self.room, say));
            wire::number(bytes, tag::KIND, kind as u64);
            room
        });
        self.room = room.unwrap_or(0);
        self.cut |= room.is_none();
    }

    /// Says for whom the call is made in which this is said, if there is room.
    fn add_actor(&mut self, call: &Call) {
        let actor = call.actor().map(Actor::as_str).filter(|name| name.len() <= self.room);
        let Some(name) = actor.filter(|_| !self.names_actor && self.fields < MOST_FIELDS) else { return };
        wire::delimited(self.bytes, tag::FIELDS, |bytes| {
            wire::text(bytes, tag::NAME, ACTOR);
            wire::text(bytes, tag::VALUE, name);
        });
    }

    fn integer(&mut self, field: &Field, negative: bool, magnitude: u128) {
        self.add(field, Kind::Integer, |text| text.integer(negative, magnitude));
    }
}

fn limited(bytes: &mut Vec<u8>, room: usize, say: impl FnOnce(&mut Limited<'_>)) -> Option<usize> {
    let mut text = Limited::new(bytes, room);
    say(&mut text);
    text.finish()
}

impl Visit for Said<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, Kind::Unspecified, |text| {
            // Fails only when the value's own Debug does; then what came so far is said.
            let _incomplete = write!(text, "{value:?}");
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Kind::Unspecified, |text| text.push(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.integer(field, value < 0, value.unsigned_abs().into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.integer(field, false, value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.integer(field, value < 0, value.unsigned_abs());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.integer(field, false, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Kind::Float, |text| {
            let _never_fails = write!(text, "{value:?}");
        });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Kind::Boolean, |text| text.push(if value { "true" } else { "false" }));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.add(field, Kind::Bytes, |text| text.push(&BASE64_STANDARD.encode(value)));
    }
}
