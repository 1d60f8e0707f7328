//! How entries become columns. `rows.rs` is the reverse, and has to stay so.
//!
//! Numbers are varints, as in protobuf; signed ones are zigzag. In `meta` each
//! property stands for all records before the next property begins, because equal
//! things next to each other compress best.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use prost::encoding::encode_varint;

use super::COLUMNS;
use crate::entry::{Entry, Source, nanoseconds};

/// Ends each message and each value in `text`; no UTF-8 has this byte, so nothing is ever found across two.
pub(super) const END: u8 = 0xff;

/// Flags of a record.
pub(super) const CUT: u8 = 1;
pub(super) const GAP: u8 = 2;
pub(super) const LAST_WORDS: u8 = 4;

/// How an id is written: as it is, or as the bytes of hexadecimal digits in lower case.
pub(super) const ID_TEXT: u8 = 0;
pub(super) const ID_HEX: u8 = 1;

/// The columns of entries, not compressed yet.
pub(super) fn write(entries: &[&Entry]) -> [Vec<u8>; COLUMNS] {
    let mut ids = Dictionary::default();
    let meta = write_meta(entries, &mut ids);
    let mut stored_ids = Vec::new();
    write_all(&ids.known, |id, column| write_id(id, column), &mut stored_ids);
    let (fields, text) = write_fields(entries);
    [meta, stored_ids, fields, text]
}

/// Things that occur again and again, each written once.
struct Dictionary<T> {
    known: Vec<T>,
    places: HashMap<T, u64>,
}

impl<T> Default for Dictionary<T> {
    fn default() -> Self {
        Self { known: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Eq + Hash + Copy> Dictionary<T> {
    /// The number of a thing.
    fn number(&mut self, thing: T) -> u64 {
        *self.places.entry(thing).or_insert_with(|| {
            self.known.push(thing);
            self.known.len() as u64 - 1
        })
    }
}

impl<'a> Dictionary<&'a str> {
    /// The number of an id, from 1; 0 when there is none.
    fn id(&mut self, id: &'a str) -> u64 {
        if id.is_empty() { 0 } else { self.number(id) + 1 }
    }
}

fn write_meta<'a>(entries: &[&'a Entry], ids: &mut Dictionary<&'a str>) -> Vec<u8> {
    let mut sources = Dictionary::<&Source>::default();
    let mut targets = Dictionary::<&str>::default();
    let mut numbers = Numbers::default();
    let (mut time, mut received) = (0, 0);
    let mut sequences = Vec::new();
    for entry in entries {
        let record = &entry.record;
        let source = sources.number(Arc::as_ref(&entry.source));
        sequences.resize(sources.known.len(), 0);
        let now = nanoseconds(record.time.as_ref()).unwrap_or_default();
        let sequence = &mut sequences[usize::try_from(source).unwrap_or_default()];
        // The order of properties, here and in `rows.rs`.
        numbers.push([
            source,
            targets.number(&record.target),
            u64::try_from(record.level).unwrap_or_default(),
            u64::from(flags(entry)),
            zigzag(now.wrapping_sub(time)),
            zigzag(entry.received.wrapping_sub(received)),
            zigzag(record.sequence.wrapping_sub(*sequence).cast_signed()),
            ids.id(&record.trace_id),
            ids.id(&record.span_id),
            ids.id(&record.request_id),
            record.message.len() as u64,
            record.fields.len() as u64,
        ]);
        (time, received, *sequence) = (now, entry.received, record.sequence.wrapping_add(1));
    }
    let mut meta = Vec::new();
    write_all(&sources.known, |source, column| write_source(source, column), &mut meta);
    write_all(&targets.known, |target, column| write_text(target, column), &mut meta);
    numbers.write(&mut meta);
    for entry in entries.iter().filter(|entry| !entry.record.lost.is_empty()) {
        let write_count = |lost: &proto::logs::LevelCount, column: &mut Vec<u8>| {
            encode_varint(u64::try_from(lost.level).unwrap_or_default(), column);
            encode_varint(lost.count, column);
        };
        write_all(&entry.record.lost, write_count, &mut meta);
    }
    meta
}

/// How many properties of each record stand in `meta`.
const PROPERTIES: usize = 12;

#[derive(Default)]
struct Numbers([Vec<u8>; PROPERTIES]);

impl Numbers {
    fn push(&mut self, properties: [u64; PROPERTIES]) {
        self.0.iter_mut().zip(properties).for_each(|(column, number)| encode_varint(number, column));
    }

    fn write(&self, column: &mut Vec<u8>) {
        self.0.iter().for_each(|property| column.extend_from_slice(property));
    }
}

fn flags(entry: &Entry) -> u8 {
    let mut flags = 0;
    if entry.record.cut {
        flags |= CUT;
    }
    if !entry.record.lost.is_empty() {
        flags |= GAP;
    }
    if entry.source.last_words {
        flags |= LAST_WORDS;
    }
    flags
}

fn write_fields(entries: &[&Entry]) -> (Vec<u8>, Vec<u8>) {
    let mut names = Dictionary::<&str>::default();
    let (mut shapes, mut text) = (Vec::new(), Vec::new());
    for entry in entries {
        text.extend_from_slice(entry.record.message.as_bytes());
        text.push(END);
        for field in &entry.record.fields {
            encode_varint(names.number(&field.name), &mut shapes);
            encode_varint(u64::try_from(field.kind).unwrap_or_default(), &mut shapes);
            encode_varint(field.value.len() as u64, &mut shapes);
            text.extend_from_slice(field.value.as_bytes());
            text.push(END);
        }
    }
    let mut fields = Vec::with_capacity(shapes.len() + 256);
    write_all(&names.known, |name, column| write_text(name, column), &mut fields);
    fields.extend_from_slice(&shapes);
    (fields, text)
}

fn write_all<T>(things: &[T], write: impl Fn(&T, &mut Vec<u8>), column: &mut Vec<u8>) {
    encode_varint(things.len() as u64, column);
    things.iter().for_each(|thing| write(thing, column));
}

fn write_source(source: &Source, column: &mut Vec<u8>) {
    for text in [&source.service, &source.instance, &source.producer.name] {
        write_text(text, column);
    }
    encode_varint(source.producer.incarnation, column);
}

fn write_id(id: &str, column: &mut Vec<u8>) {
    match hex_bytes(id) {
        Some(bytes) => {
            column.push(ID_HEX);
            encode_varint(bytes.len() as u64, column);
            column.extend_from_slice(&bytes);
        }
        None => {
            column.push(ID_TEXT);
            write_text(id, column);
        }
    }
}

fn write_text(text: &str, column: &mut Vec<u8>) {
    encode_varint(text.len() as u64, column);
    column.extend_from_slice(text.as_bytes());
}

/// The bytes that an id of hexadecimal digits in lower case stands for.
pub(super) fn hex_bytes(id: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = id.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}
