//! Values that JSON writes as one text, number or truth.

use std::io::Write as _;

use base64::Engine as _;
use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor};

use crate::gateway::json::{
    Unusual,
    wire::{Item, Reader, Wire},
};

/// A kind of value, and so how it is written.
#[derive(Debug)]
pub(super) enum Plain {
    Text,
    Bytes,
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    Enum(EnumDescriptor),
    /// The only value of `google.protobuf.NullValue`.
    Null,
    Timestamp,
    /// Numbers that may be absent.
    FloatValue,
    DoubleValue,
}

impl Plain {
    pub(super) fn of(kind: &Kind) -> Plain {
        match kind {
            Kind::String => Plain::Text,
            // A message is never asked for here.
            Kind::Bytes | Kind::Message(_) => Plain::Bytes,
            Kind::Bool => Plain::Bool,
            Kind::Int32 => Plain::Int32,
            Kind::Int64 => Plain::Int64,
            Kind::Uint32 => Plain::Uint32,
            Kind::Uint64 => Plain::Uint64,
            Kind::Sint32 => Plain::Sint32,
            Kind::Sint64 => Plain::Sint64,
            Kind::Fixed32 => Plain::Fixed32,
            Kind::Fixed64 => Plain::Fixed64,
            Kind::Sfixed32 => Plain::Sfixed32,
            Kind::Sfixed64 => Plain::Sfixed64,
            Kind::Float => Plain::Float,
            Kind::Double => Plain::Double,
            Kind::Enum(kind) if kind.full_name() == "google.protobuf.NullValue" => Plain::Null,
            Kind::Enum(kind) => Plain::Enum(kind.clone()),
        }
    }

    /// A message that comes so often that it is written here, or that the dynamic ones write as null where it is no
    /// finite number.
    pub(super) fn message(message: &MessageDescriptor) -> Option<Plain> {
        match message.full_name() {
            "google.protobuf.Timestamp" => Some(Plain::Timestamp),
            "google.protobuf.FloatValue" => Some(Plain::FloatValue),
            "google.protobuf.DoubleValue" => Some(Plain::DoubleValue),
            _ => None,
        }
    }

    /// What one is on the wire that is not there.
    pub(super) fn default(&self) -> Item<'static> {
        match self.wire() {
            _ if !self.is_packed() => Item::Bytes(&[]),
            Wire::Varint => Item::Varint(0),
            Wire::Fixed32 => Item::Fixed32(0),
            Wire::Fixed64 => Item::Fixed64(0),
        }
    }

    /// Whether a list of them may come as one piece.
    pub(super) fn is_packed(&self) -> bool {
        !matches!(self, Plain::Text | Plain::Bytes | Plain::Timestamp | Plain::FloatValue | Plain::DoubleValue)
    }

    pub(super) fn wire(&self) -> Wire {
        match self {
            Plain::Fixed32 | Plain::Sfixed32 | Plain::Float => Wire::Fixed32,
            Plain::Fixed64 | Plain::Sfixed64 | Plain::Double => Wire::Fixed64,
            _ => Wire::Varint,
        }
    }

    pub(super) fn write(&self, item: Item<'_>, out: &mut Vec<u8>) -> Result<(), Unusual> {
        match (self, item) {
            (Plain::Text, Item::Bytes(bytes)) => text(std::str::from_utf8(bytes).map_err(|_| Unusual)?, out),
            (Plain::Bytes, Item::Bytes(bytes)) => {
                shown(out, format_args!("\"{}\"", base64::engine::general_purpose::STANDARD.encode(bytes)))
            }
            (Plain::Timestamp, Item::Bytes(bytes)) => timestamp(bytes, out),
            (Plain::FloatValue, Item::Bytes(bytes)) => Plain::Float.write(wrapped(bytes, Item::Fixed32(0))?, out),
            (Plain::DoubleValue, Item::Bytes(bytes)) => Plain::Double.write(wrapped(bytes, Item::Fixed64(0))?, out),
            (Plain::Null, Item::Varint(_)) => shown(out, "null"),
            (Plain::Bool, Item::Varint(number)) => shown(out, number != 0),
            (Plain::Int32, Item::Varint(number)) => shown(out, low(number).cast_signed()),
            (Plain::Uint32, Item::Varint(number)) => shown(out, low(number)),
            (Plain::Sint32, Item::Varint(number)) => {
                let number = low(number);
                shown(out, (number >> 1).cast_signed() ^ -(number & 1).cast_signed())
            }
            (Plain::Int64, Item::Varint(number)) => quoted(out, number.cast_signed()),
            (Plain::Uint64, Item::Varint(number)) => quoted(out, number),
            (Plain::Sint64, Item::Varint(number)) => {
                quoted(out, (number >> 1).cast_signed() ^ -(number & 1).cast_signed())
            }
            (Plain::Fixed32, Item::Fixed32(number)) => shown(out, number),
            (Plain::Sfixed32, Item::Fixed32(number)) => shown(out, number.cast_signed()),
            (Plain::Fixed64, Item::Fixed64(number)) => quoted(out, number),
            (Plain::Sfixed64, Item::Fixed64(number)) => quoted(out, number.cast_signed()),
            (Plain::Float, Item::Fixed32(bits)) => float(f32::from_bits(bits), out),
            (Plain::Double, Item::Fixed64(bits)) => double(f64::from_bits(bits), out),
            (Plain::Enum(kind), Item::Varint(number)) => {
                let number = low(number).cast_signed();
                match kind.get_value(number) {
                    Some(value) => shown(out, format_args!("\"{}\"", value.name())),
                    None => shown(out, number),
                }
            }
            _ => Err(Unusual),
        }
    }

    /// The same as the key of a map, which in JSON is a text whatever it is.
    pub(super) fn write_key(&self, item: Item<'_>, out: &mut Vec<u8>) -> Result<(), Unusual> {
        let begin = out.len();
        self.write(item, out)?;
        if out.get(begin) != Some(&b'"') {
            out.insert(begin, b'"');
            out.push(b'"');
        }
        Ok(())
    }
}

/// What a wrapper holds.
fn wrapped<'b>(bytes: &'b [u8], default: Item<'b>) -> Result<Item<'b>, Unusual> {
    let (mut value, mut reader) = (default, Reader::new(bytes));
    while let Some(field) = reader.next()? {
        match field {
            (1, item) => value = item,
            _ => return Err(Unusual),
        }
    }
    Ok(value)
}

/// Numbers of 32 bits are the low half of what comes.
fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn shown(out: &mut Vec<u8>, value: impl std::fmt::Display) -> Result<(), Unusual> {
    write!(out, "{value}").map_err(|_| Unusual)
}

/// Numbers of 64 bits are texts, since JSON's readers would round them.
fn quoted(out: &mut Vec<u8>, value: impl std::fmt::Display) -> Result<(), Unusual> {
    write!(out, "\"{value}\"").map_err(|_| Unusual)
}

fn text(text: &str, out: &mut Vec<u8>) -> Result<(), Unusual> {
    serde_json::to_writer(out, text).map_err(|_| Unusual)
}

fn double(value: f64, out: &mut Vec<u8>) -> Result<(), Unusual> {
    match unbounded(value) {
        Some(name) => shown(out, name),
        None => serde_json::to_writer(out, &value).map_err(|_| Unusual),
    }
}

fn float(value: f32, out: &mut Vec<u8>) -> Result<(), Unusual> {
    match unbounded(value.into()) {
        Some(name) => shown(out, name),
        None => serde_json::to_writer(out, &value).map_err(|_| Unusual),
    }
}

fn unbounded(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("\"NaN\""),
        f64::INFINITY => Some("\"Infinity\""),
        f64::NEG_INFINITY => Some("\"-Infinity\""),
        _ => None,
    }
}

/// A moment in UTC, with 0, 3, 6 or 9 digits of its second's parts.
fn timestamp(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unusual> {
    let (mut seconds, mut nanos) = (0_i64, 0_u32);
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next()? {
        match field {
            (1, Item::Varint(number)) => seconds = number.cast_signed(),
            (2, Item::Varint(number)) => nanos = low(number),
            _ => return Err(Unusual),
        }
    }
    let nanos = i32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or(Unusual)?;
    let moment = jiff::Timestamp::new(seconds, 0).map_err(|_| Unusual)?.to_zoned(jiff::tz::TimeZone::UTC);
    let (date, time) = (moment.date(), moment.time());
    let (year, month, day) = (u16::try_from(date.year()).map_err(|_| Unusual)?, date.month(), date.day());
    write!(out, "\"{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
        .map_err(|_| Unusual)?;
    match nanos {
        0 => Ok(()),
        nanos if nanos % 1_000_000 == 0 => write!(out, ".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => write!(out, ".{:06}", nanos / 1_000),
        nanos => write!(out, ".{nanos:09}"),
    }
    .map_err(|_| Unusual)?;
    out.extend_from_slice(b"Z\"");
    Ok(())
}
