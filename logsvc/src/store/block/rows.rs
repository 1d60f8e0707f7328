//! How columns become records again, each as far as it is asked for.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use prost::encoding::decode_varint;
use proto::logs::{Field, LevelCount, LogRecord};

use super::columns::{CUT, END, GAP, ID_HEX, ID_TEXT, LAST_WORDS, hex_bytes};
use super::{BLOCK, damaged};
use crate::entry::{Entry, Producer, Source, timestamp};

/// What most filters ask for.
#[derive(Debug, Default)]
pub(crate) struct Meta {
    pub(crate) sources: Vec<Arc<Source>>,
    pub(crate) targets: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// Of gap records, in their order.
    lost: Vec<Vec<LevelCount>>,
}

/// One record of a block, without its words.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row {
    /// Its source and target among those of the block.
    pub(crate) source: u32,
    pub(crate) target: u32,
    pub(crate) level: i32,
    flags: u8,
    pub(crate) time: i64,
    received: i64,
    sequence: u64,
    /// Ids among those of the block, from 1; 0 is none.
    pub(crate) trace: u32,
    span: u32,
    pub(crate) request: u32,
    message: u32,
    fields: u32,
}

/// The ids of a block, each once, as they are stored.
#[derive(Debug)]
pub(crate) struct Ids {
    column: Vec<u8>,
    places: Vec<(IdKind, Range<usize>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdKind {
    Text,
    Hex,
}

/// The fields of a block: names, and which record has which with how long a value.
#[derive(Debug)]
pub(crate) struct Fields {
    names: Vec<String>,
    shapes: Vec<Shape>,
    /// The first shape of each row, and one more.
    starts: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    name: usize,
    kind: i32,
    value: usize,
}

/// Messages and values.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    /// Where each row begins, and one more.
    pub(crate) starts: Vec<usize>,
}

impl Meta {
    /// Reads the column of a block with `count` records.
    pub(crate) fn read(column: &[u8], count: usize) -> io::Result<Self> {
        let mut rest = Rest(column);
        let sources = rest.all(Rest::source)?;
        let targets = rest.all(Rest::text)?;
        let rows = rest.rows(count)?;
        if rows.iter().any(|row| row.target as usize >= targets.len() || row.source as usize >= sources.len()) {
            return Err(damaged("a source or a target is missing"));
        }
        let mut meta = Self { rows, sources: Vec::new(), targets, lost: Vec::new() };
        add_up(&mut meta.rows, sources.len());
        meta.sources = with_last_words(sources, &mut meta.rows);
        for _ in meta.rows.iter().filter(|row| row.flags & GAP != 0) {
            meta.lost.push(rest.all(Rest::level_count)?);
        }
        Ok(meta)
    }

    fn lost(&self, row: usize) -> Vec<LevelCount> {
        if self.rows[row].flags & GAP == 0 {
            return Vec::new();
        }
        let before = self.rows[..row].iter().filter(|row| row.flags & GAP != 0).count();
        self.lost[before].clone()
    }

    /// A record with everything, in a block that begins at an offset.
    pub(crate) fn entry(&self, first_offset: u64, row: usize, ids: &Ids, (fields, text): (&Fields, &Text)) -> Entry {
        let known = &self.rows[row];
        let mut pieces =
            text.row(row).split(|byte| *byte == END).map(|piece| String::from_utf8_lossy(piece).into_owned());
        let message = pieces.next().unwrap_or_default();
        let named = fields.of(row).iter().zip(pieces);
        let record = LogRecord {
            sequence: known.sequence,
            time: Some(timestamp(known.time)),
            level: known.level,
            target: self.targets[known.target as usize].clone(),
            message,
            fields: named
                .map(|(shape, value)| Field { name: fields.names[shape.name].clone(), value, kind: shape.kind })
                .collect(),
            request_id: ids.get(known.request),
            trace_id: ids.get(known.trace),
            span_id: ids.get(known.span),
            cut: known.flags & CUT != 0,
            lost: self.lost(row),
        };
        let source = self.sources[known.source as usize].clone();
        Entry { offset: first_offset + row as u64, received: known.received, source, record }
    }
}

impl Ids {
    /// Takes the column.
    pub(crate) fn read(column: Vec<u8>) -> io::Result<Self> {
        let mut rest = Rest(&column);
        let count = rest.size()?;
        let mut places = Vec::with_capacity(count.min(3 * BLOCK));
        for _ in 0..count {
            let kind = match rest.bytes(1)? {
                [ID_TEXT] => IdKind::Text,
                [ID_HEX] => IdKind::Hex,
                _ => return Err(damaged("an id of an unknown kind")),
            };
            let length = rest.size()?;
            rest.bytes(length)?;
            let end = column.len() - rest.0.len();
            places.push((kind, end - length..end));
        }
        Ok(Self { column, places })
    }

    /// The number of an id in rows.
    pub(crate) fn number(&self, id: &str) -> Option<u32> {
        let (kind, bytes) = match hex_bytes(id) {
            Some(bytes) => (IdKind::Hex, bytes),
            None => (IdKind::Text, id.as_bytes().to_vec()),
        };
        let is_it = |(known, place): &(IdKind, Range<usize>)| *known == kind && self.column[place.clone()] == bytes;
        let place = self.places.iter().position(is_it)?;
        u32::try_from(place + 1).ok()
    }

    fn get(&self, number: u32) -> String {
        let known = number.checked_sub(1).and_then(|place| self.places.get(place as usize));
        known.map_or_else(String::new, |(kind, place)| {
            let bytes = &self.column[place.clone()];
            if *kind == IdKind::Hex { hex(bytes) } else { String::from_utf8_lossy(bytes).into_owned() }
        })
    }
}

impl Fields {
    /// Reads the column.
    pub(crate) fn read(column: &[u8], meta: &Meta) -> io::Result<Self> {
        let mut rest = Rest(column);
        let names = rest.all(Rest::text)?;
        let total = meta.rows.iter().map(|row| row.fields as usize).sum::<usize>().min(column.len());
        let (mut shapes, mut starts) = (Vec::with_capacity(total), Vec::with_capacity(meta.rows.len() + 1));
        for row in &meta.rows {
            starts.push(shapes.len());
            for _ in 0..row.fields {
                let (name, kind, value) = (rest.size()?, rest.number()?, rest.size()?);
                if name >= names.len() {
                    return Err(damaged("the name of a field is missing"));
                }
                shapes.push(Shape { name, kind: i32::try_from(kind).unwrap_or_default(), value });
            }
        }
        starts.push(shapes.len());
        Ok(Self { names, shapes, starts })
    }

    fn of(&self, row: usize) -> &[Shape] {
        &self.shapes[self.starts[row]..self.starts[row + 1]]
    }

    /// Whether a row has a field with this value.
    pub(crate) fn has(&self, row: usize, name: &str, value: &str, text: &Text) -> bool {
        let values = text.row(row).split(|byte| *byte == END).skip(1);
        self.of(row)
            .iter()
            .zip(values)
            .any(|(shape, stored)| self.names[shape.name] == name && stored == value.as_bytes())
    }
}

impl Text {
    /// Takes the column; where rows begin follows from the lengths in the other two.
    pub(crate) fn read(bytes: Vec<u8>, meta: &Meta, fields: &Fields) -> io::Result<Self> {
        let mut starts = Vec::with_capacity(meta.rows.len() + 1);
        let mut position = 0_usize;
        for (number, row) in meta.rows.iter().enumerate() {
            starts.push(position);
            let values: usize = fields.of(number).iter().map(|shape| shape.value + 1).sum();
            position += row.message as usize + 1 + values;
        }
        starts.push(position);
        if position != bytes.len() {
            return Err(damaged("the text has another length than its records"));
        }
        Ok(Self { bytes, starts })
    }

    /// The message and the values of a row, each with its end.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        // Without the last end, which would be one empty piece more.
        &self.bytes[self.range(row)]
    }

    fn range(&self, row: usize) -> Range<usize> {
        self.starts[row]..(self.starts[row + 1] - 1)
    }

    /// The row that a position in the text belongs to.
    pub(crate) fn row_at(&self, position: usize) -> usize {
        self.starts.partition_point(|start| *start <= position) - 1
    }
}

/// Makes times and sequences of the differences that are stored.
fn add_up(rows: &mut [Row], sources: usize) {
    let mut sequences = vec![0_u64; sources];
    let (mut time, mut received) = (0_i64, 0_i64);
    for row in rows {
        time = time.wrapping_add(row.time);
        received = received.wrapping_add(row.received);
        let next = &mut sequences[row.source as usize];
        (row.time, row.received, row.sequence) = (time, received, next.wrapping_add(row.sequence));
        *next = row.sequence.wrapping_add(1);
    }
}

/// Sources as entries hold them. Whether they are last words is a flag of rows, and a property of a source.
fn with_last_words(sources: Vec<Source>, rows: &mut [Row]) -> Vec<Arc<Source>> {
    // No more than a block has records.
    let count = u32::try_from(sources.len()).unwrap_or(u32::MAX);
    let late: Vec<Source> = sources.iter().map(|source| Source { last_words: true, ..source.clone() }).collect();
    for row in rows.iter_mut().filter(|row| row.flags & LAST_WORDS != 0) {
        row.source += count;
    }
    sources.into_iter().chain(late).map(Arc::new).collect()
}

/// What is left of a column.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn number(&mut self) -> io::Result<u64> {
        decode_varint(&mut self.0).map_err(|_| damaged("a column ends in the middle"))
    }

    fn size(&mut self) -> io::Result<usize> {
        size(self.number()?)
    }

    fn bytes(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(|| damaged("a column ends in the middle"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn all<T>(&mut self, mut one: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        let count = self.size()?;
        // A damaged count must not ask for memory; a block holds no more than a few of anything per record.
        let mut things = Vec::with_capacity(count.min(BLOCK));
        for _ in 0..count {
            things.push(one(self)?);
        }
        Ok(things)
    }

    fn text(&mut self) -> io::Result<String> {
        let count = self.size()?;
        String::from_utf8(self.bytes(count)?.to_vec()).map_err(|_| damaged("a text is not UTF-8"))
    }

    fn source(&mut self) -> io::Result<Source> {
        let (service, instance, name) = (self.text()?, self.text()?, self.text()?);
        let producer = Producer { name, incarnation: self.number()? };
        Ok(Source { service, instance, producer, last_words: false })
    }

    /// One property after the other, each of all records. The order is that of `columns.rs`.
    fn rows(&mut self, count: usize) -> io::Result<Vec<Row>> {
        let mut rows = vec![Row::default(); count];
        self.each(&mut rows, |row, number| row.source = small(number))?;
        self.each(&mut rows, |row, number| row.target = small(number))?;
        self.each(&mut rows, |row, number| row.level = i32::try_from(number).unwrap_or_default())?;
        self.each(&mut rows, |row, number| row.flags = u8::try_from(number).unwrap_or_default())?;
        self.each(&mut rows, |row, number| row.time = unzigzag(number))?;
        self.each(&mut rows, |row, number| row.received = unzigzag(number))?;
        self.each(&mut rows, |row, number| row.sequence = unzigzag(number).cast_unsigned())?;
        self.each(&mut rows, |row, number| row.trace = small(number))?;
        self.each(&mut rows, |row, number| row.span = small(number))?;
        self.each(&mut rows, |row, number| row.request = small(number))?;
        self.each(&mut rows, |row, number| row.message = small(number))?;
        self.each(&mut rows, |row, number| row.fields = small(number))?;
        Ok(rows)
    }

    fn each(&mut self, rows: &mut [Row], set: impl Fn(&mut Row, u64)) -> io::Result<()> {
        rows.iter_mut().try_for_each(|row| self.number().map(|number| set(row, number)))
    }

    fn level_count(&mut self) -> io::Result<LevelCount> {
        Ok(LevelCount { level: i32::try_from(self.number()?).unwrap_or_default(), count: self.number()? })
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn size(number: u64) -> io::Result<usize> {
    // Nothing in a block is longer than 4 GiB; a larger number would overflow sums.
    u32::try_from(number).map(|number| number as usize).map_err(|_| damaged("a number is too large"))
}

/// What nothing in a block has so many of, when a number is too large.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}
